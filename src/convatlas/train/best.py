"""Keeps the weights that validated best, because the last ones of a run need not be the best."""

import copy
import math
from typing import Any

from torch import nn


def rank(figures: dict[str, float]) -> tuple[float, float]:
    """Order validations: by accuracy, the loss deciding between equals; not a number is worst."""
    accuracy = figures.get("val_accuracy", 0.0)
    loss = figures.get("val_loss", math.inf)
    return (
        accuracy if math.isfinite(accuracy) else -math.inf,
        -loss if math.isfinite(loss) else -math.inf,
    )


class BestWeights:
    """The best validated state of a network and the figures it reached.

    Attributes:
        figures: of the best validation; empty before the first.
        epoch: passes over the training images at that validation.
    """

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}
        self.epoch = 0.0
        self._state: dict[str, Any] | None = None

    def consider(self, model: nn.Module, figures: dict[str, float], epoch: float) -> None:
        """Keep a copy of the weights unless an earlier validation was better; ties keep these."""
        if self._state is not None and rank(figures) < rank(self.figures):
            return
        self.figures, self.epoch = dict(figures), epoch
        self._state = copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module) -> None:
        """Load the best weights into a network; changes nothing before the first validation."""
        if self._state is not None:
            model.load_state_dict(self._state)
