"""Evaluation mode for the length of a measurement."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode; afterwards restore the training flag of every module."""
    # A frozen TorchScript module has no flag left.
    flags = {module: module.training for module in model.modules() if hasattr(module, "training")}
    set_mode(model, False)
    try:
        yield
    finally:
        # By its own method first: a model may merge weights for evaluation and has to part them.
        set_mode(model, flags.get(model, False))
        for module, training in flags.items():
            module.training = training


def set_mode(model: nn.Module, training: bool) -> None:
    """Set the training flags by the model's own method, where it has one to set."""
    try:
        model.train(training)
    except NotImplementedError:  # an exported program has the mode that it was exported in
        return
    except AttributeError:
        if hasattr(model, "training"):
            raise
