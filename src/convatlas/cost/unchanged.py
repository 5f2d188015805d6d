"""Leave a model exactly as it was, whatever its forward pass does with it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn.modules import module as torch_module

from convatlas.cost.reach import reachable
from convatlas.cost.restore import Snapshot, remember_chance


@contextmanager
def unchanged(model: Any, *, values: bool = False) -> Iterator[None]:
    """Put everything reached from the model back afterwards, also where the pass raises.

    Parameters, buffers and plain attributes, whatever containers and closures hold them; hooks and
    what they recorded; training flags; caches of the classes and functions that it uses; random
    generators, the default type and the gradient mode.

    Args:
        model: a module or a function.
        values: also the numbers inside tensors, for a pass that runs with real ones.
    """
    hooks = (torch_module._global_forward_hooks, torch_module._global_forward_pre_hooks)
    with ExitStack() as stack:
        stack.callback(Snapshot(reachable([model, *hooks]), values=values).put_back)
        for put_back in remember_chance():
            stack.callback(put_back)
        stack.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        yield
