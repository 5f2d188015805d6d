"""Keeps the weights that validated best, because the last ones of a run need not be the best."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

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

    def tensors(self) -> dict[str, Tensor]:
        """Return the best weights; none before the first validation."""
        return dict(self._state or {})

    def values(self) -> dict[str, Any]:
        """Return figures and epoch of the best validation, for JSON."""
        return {"figures": self.figures, "epoch": self.epoch}

    def take(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take over what `tensors` and `values` gave."""
        self.figures, self.epoch = dict(values["figures"]), values["epoch"]
        self._state = dict(tensors) or None
