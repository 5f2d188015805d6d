"""Keeps the weights that validated best, because the last ones of a run need not be the best."""

import copy
from typing import Any

from torch import nn

from convatlas.metric import Metric
from convatlas.train.task import validation_rank


class BestWeights:
    """The best validated state of a network and the figures it reached.

    Args:
        metric: that decides which validation was best.

    Attributes:
        figures: of the best validation; empty before the first.
        epoch: passes over the training images at that validation.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.figures: dict[str, float] = {}
        self.epoch = 0.0
        self._state: dict[str, Any] | None = None

    def consider(self, model: nn.Module, figures: dict[str, float], epoch: float) -> None:
        """Keep a copy of the weights unless an earlier validation was better; ties keep these."""
        reached = validation_rank(figures, self._metric)
        if self._state is not None and reached < validation_rank(self.figures, self._metric):
            return
        self.figures, self.epoch = dict(figures), epoch
        self._state = copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module) -> None:
        """Load the best weights into a network; changes nothing before the first validation."""
        if self._state is not None:
            model.load_state_dict(self._state)
