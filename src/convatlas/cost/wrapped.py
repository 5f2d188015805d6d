"""What stands around or instead of a plain network: taken off, or refused in one sentence."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy

from convatlas.errors import CountError, UsageError


def unwrapped(model: Any) -> nn.Module:
    """Return the network inside `DataParallel`, `DistributedDataParallel` and `torch.compile`.

    Raises:
        UsageError: no module.
        CountError: a network whose weights are not there as they are when it runs.
    """
    while isinstance(model, nn.Module):
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif type(model).__name__ == "OptimizedModule":
            model = model._orig_mod
        else:
            _refuse_hidden_weights(model)
            return model
    called = f"create_model({model!r})" if isinstance(model, str) else "macs() counts a function"
    raise UsageError(f"count: takes a module, got {type(model).__name__}; {called}")


@contextmanager
def run_plainly(model: nn.Module) -> Iterator[None]:
    """Run wrapped and compiled parts of a model as what they were made from.

    What this sets on the model is put back by `unchanged`, which is around it.
    """
    for module in model.modules():
        if isinstance(module, DataParallel):
            module.device_ids = []
    if "torch._dynamo" not in sys.modules:  # nothing was compiled
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def is_scripted(module: nn.Module) -> bool:
    """Return whether TorchScript holds its weights, so that no others can be put in their place."""
    return isinstance(module, torch.jit.ScriptModule)


def _refuse_hidden_weights(model: nn.Module) -> None:
    for name, module in model.named_modules():
        packed = torch.ScriptObject in map(type, vars(module).values())
        if packed and not is_scripted(module):
            raise CountError(
                f"count: {_at(model, name)} is quantised, and its weights are packed where no rule "
                "sees them; count the network that it was made from"
            )
        for weight in module.parameters(recurse=False):
            if is_lazy(weight):
                raise CountError(
                    f"count: {_at(model, name)} gets the sizes of its weights from its first "
                    "input; call the model once before counting"
                )
            if type(weight).__name__ == "DTensor" or "fsdp" in type(module).__module__:
                raise CountError(
                    f"count: {_at(model, name)} holds only a share of its weights; "
                    "count it before it is sharded"
                )


def _at(model: nn.Module, name: str) -> str:
    return f"{type(model).__name__}{f' at {name}' if name else ''}"
