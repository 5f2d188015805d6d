"""Evaluation mode for the length of a measurement."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every module has the training flag that it had before."""
    flags = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        # By its own method first: a model may merge weights for evaluation and has to part them.
        model.train(flags[model])
        for module, training in flags.items():
            module.training = training
