"""Build and run networks on shapes alone: weights have no values, so none are drawn."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from convatlas.cost.shapes import QuickShapes

# What initialisations end in. None looks at another tensor, so none can find a misfit.
_DRAWS = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_})
# These ask the mode themselves, and what they call no longer does.
_INITIALISATIONS = frozenset(
    {nn.init.normal_, nn.init.uniform_, nn.init.constant_, nn.init.kaiming_uniform_}
)


class _NoDraws(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS or func in _INITIALISATIONS:
            target = args[0] if args else kwargs["tensor"]
            if target.is_meta:
                return target
        return func(*args, **kwargs)


@contextmanager
def on_shapes() -> Iterator[None]:
    """Make each new tensor inside without memory; an initialisation takes no time.

    As `torch.device("meta")`, in half to two thirds of the time (measured): there torch computes
    each draw in Python.
    """
    with torch.device("meta"), _NoDraws():
        yield


def run_on_shapes(module: nn.Module, x: Tensor) -> Any:
    """Return what a module makes of a tensor on `meta`, in evaluation mode.

    Its weights may lie anywhere and are as before afterwards. What a network draws by chance in
    training does not change its shapes.
    """
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    training = module.training
    module.eval()
    try:
        with torch.no_grad(), QuickShapes():
            meta = {name: tensor.to("meta") for name, tensor in tensors.items()}
            return torch.func.functional_call(module, meta, (x,))
    finally:
        module.train(training)
