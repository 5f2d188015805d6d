"""Count a network's cost by watching it run on shapes alone.

Nothing is computed and nothing allocated: tensors on torch's `meta` device carry shapes through
the real forward pass, and a dispatch mode sees each operator go by. So no model carries a second
description of itself that could drift from its code. A model that decides by values what it
computes is run with real numbers instead, if it is small enough.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.cost.complex_convolution import ComplexConvolutions
from convatlas.cost.eval_mode import set_mode
from convatlas.cost.inputs import META, Inputs, dtype_of, moved, read_inputs
from convatlas.cost.memory import tensors_in
from convatlas.cost.report import Cost
from convatlas.cost.unchanged import unchanged
from convatlas.cost.watch import Watch
from convatlas.cost.wrapped import is_scripted, run_plainly, unwrapped
from convatlas.errors import CountError

CPU = torch.device("cpu")
MAX_REAL_BYTES = 2**30  # of weights and inputs: more than this is not run with real numbers
FROZEN = "it is a frozen program, whose weights are constants: params and weight_bytes are 0"
BY_VALUES = "it decides by values what it computes: counted with real numbers, for such input only"


def count(model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None = None) -> Cost:
    """Count parameters, multiply-adds and bytes of one forward pass.

    Everything of the model is as before afterwards, also where counting raises: parameters,
    buffers, plain attributes, hooks and what they recorded, training flags, random generators.

    Args:
        model: any module, on any device, `meta` included; what `DataParallel`,
            `DistributedDataParallel` or `torch.compile` wrapped is counted as the network inside.
        inputs: a tensor, or a shape as `(1, 3, 224, 224)`, batch included; a tuple or list of them
            by position, a dict by name, nested as the model takes them. Shapes have the type of
            the model's own weights. Beside tensors a tuple of numbers is no shape.
        kwargs: further inputs by name.

    Raises:
        UsageError: no module; a shape that is not made of positive whole numbers.
        CountError: what cannot be counted as it is: quantised, sharded or not yet sized weights,
            or too large a model that decides by values what it computes.
        whatever the model raises on an input that it cannot take.
    """
    network = unwrapped(model)
    given = read_inputs(inputs, kwargs, dtype_of(network))
    try:
        return _watched(network, given, META)
    except CountError:
        raise
    except Exception as error:
        if not _asks_for_values(error):
            raise
        _refuse_what_cannot_run(network, given, error)
    return _watched(network, given, CPU)


def macs(function: Callable[..., Any], *inputs: Any, **options: Any) -> int:
    """Count multiply-adds of one call of a function or module, on shapes alone."""
    watch = Watch(None)
    args, kwargs = moved((inputs, options), META)
    with unchanged(function), _quietly(META), watch, ComplexConvolutions(watch):
        if isinstance(function, nn.Module):
            torch.func.functional_call(function, _weights(function, META), args, kwargs)
        else:
            function(*args, **kwargs)
    return sum(watch.macs.values())


class _Evaluated(nn.Module):
    """Runs a model in evaluation mode, and counts nothing but the run.

    The mode is set while other weights are in place: a model may merge weights when it is. What
    this changes is put back by `unchanged`, which is around it.
    """

    def __init__(self, model: nn.Module, watch: Watch):
        super().__init__()
        self.model, self.watch = model, watch

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with self.watch.not_counting():
            set_mode(self.model, False)
        return self.model(*args, **kwargs)


def _watched(model: nn.Module, given: Inputs, device: torch.device) -> Cost:
    watch = Watch(model, device)
    _run(model, given, watch)
    if watch.took_complex_apart:  # rare, and to look for it from the start would slow every count
        watch = Watch(model, device)
        _run(model, given, watch, ComplexConvolutions(watch))
    weights = [*model.parameters(), *model.buffers()]
    real = device != META
    return Cost(
        input=tuple(tuple(x.shape) for x in tensors_in(given.on(META))),
        params=sum(p.numel() for p in model.parameters()),
        macs=sum(watch.macs.values()),
        activation_bytes=sum(watch.activation_bytes.values()),
        peak_bytes=watch.live.peak,
        workspace_bytes=watch.live.peak_with_workspace - watch.live.peak,
        weight_bytes=_nbytes(weights),
        uncounted=dict(watch.uncounted),
        layers=tuple(watch.layers()),
        warnings=tuple(_warnings(model, watch, real)),
    )


def _run(
    model: nn.Module, given: Inputs, watch: Watch, *modes: AbstractContextManager[Any]
) -> None:
    if any(is_scripted(module) for module in model.modules()):
        model = copy.deepcopy(model)  # what TorchScript keeps cannot be put back piece by piece
        watch.see(model)
    weights = _weights(model, watch.device, under="model")
    args, kwargs = given.on(watch.device)
    watch.live.hold((weights, args, kwargs))
    run = _Evaluated(model, watch)
    real = watch.device != META
    with ExitStack() as stack:
        for each in (unchanged(model, values=real), _quietly(watch.device), run_plainly(model)):
            stack.enter_context(each)
        for each in (watch.stack_of_modules(), watch, *modes):
            stack.enter_context(each)
        try:
            torch.func.functional_call(run, _replaceable(run, weights), args, kwargs)
        except RuntimeError:
            if watch.refusal is not None:
                raise watch.refusal from None
            raise


def _warnings(model: nn.Module, watch: Watch, real: bool) -> Iterator[str]:
    if real:
        yield BY_VALUES
    if is_scripted(model) and watch.macs and not any(True for _ in model.parameters()):
        yield FROZEN


@contextmanager
def _quietly(device: torch.device) -> Iterator[None]:
    fastpath = torch.backends.mha.get_fastpath_enabled()
    # The fast path would hide a whole encoder layer behind one operator.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with device, torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


def _weights(model: nn.Module, device: torch.device, under: str = "") -> dict[str, Tensor]:
    """Return parameters and buffers as shapes or copies; a shared one is there once.

    Raises:
        CountError: a kind of tensor that has no such form.
    """
    weights = {}
    for name, tensor in (*model.named_parameters(under), *model.named_buffers(under)):
        try:
            there = tensor.detach().to(device)
            weights[name] = there.clone() if device != META else there
        except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
            raise CountError(
                f"count: '{name}' is a {type(tensor).__name__}, which cannot be copied as a shape; "
                "count the network before its weights were converted"
            ) from error
    return weights


def _replaceable(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out those that TorchScript holds: these stay, and are read by their shapes."""
    scripted = [f"{name}." for name, module in model.named_modules() if is_scripted(module)]
    if not scripted:
        return weights
    return {name: held for name, held in weights.items() if not name.startswith(tuple(scripted))}


def _asks_for_values(error: Exception) -> bool:
    """Return whether a pass failed for want of numbers, rather than for its input."""
    text = str(error)  # TorchScript hides what it was
    told = "meta" in text.lower() or "Traceback of TorchScript" in text
    return told or isinstance(error, NotImplementedError)


def _refuse_what_cannot_run(model: nn.Module, given: Inputs, error: Exception) -> None:
    """Refuse to run with real numbers what has none or is too large.

    Raises:
        CountError: which of the two, and what asked for numbers.
    """
    why = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    asks = f"count: {type(model).__name__} decides by values what it computes ({why})"
    tensors = [*model.parameters(), *model.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        raise CountError(f"{asks}; give it real weights, not those of 'meta'") from error
    size = _nbytes([*tensors, *tensors_in(given.on(META))])
    if size > MAX_REAL_BYTES:
        raise CountError(
            f"{asks}, and at {size / 2**30:.1f} GiB it is too large to be run; count a smaller form"
        ) from error


def _nbytes(tensors: Iterable[Tensor]) -> int:
    return sum(math.prod(t.shape) * t.element_size() for t in tensors)
