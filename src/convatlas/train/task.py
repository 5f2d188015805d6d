"""What a task brings to the training loop."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils.data import DataLoader

from convatlas.metric import Metric

VALIDATED = "val_"  # before the name of a figure, where training and validation stand together


class TrainTask(Protocol):
    """Batches, a loss and figures on the validation split.

    Attributes:
        metric: decides which of the validated weights are kept; `validate` returns it under
            `val_<key>`, with `val_loss` beside it.
    """

    metric: Metric

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]: ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor: ...

    def validate(
        self, model: nn.Module, loader: DataLoader, gather: Callable
    ) -> dict[str, float]: ...


def validation_rank(figures: Mapping[str, float], metric: Metric) -> tuple[float, float]:
    """Order validations: by the metric, the loss deciding between equals.

    Args:
        figures: under `val_<key>` and `val_loss`; what is missing or no number ranks last.
    """
    loss = Metric("loss", "loss", higher_is_better=False)
    return (
        metric.rank(figures.get(VALIDATED + metric.key)),
        loss.rank(figures.get(VALIDATED + loss.key)),
    )
