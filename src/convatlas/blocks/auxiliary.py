"""What a network with auxiliary classifiers returns while it trains, and its loss."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class TrainingOutputs(NamedTuple):
    """Logits of the network, and of each auxiliary classifier on the way to them."""

    logits: Tensor
    auxiliary: list[Tensor]


def loss_with_auxiliary(
    outputs: Tensor | TrainingOutputs,
    target: Tensor,
    criterion: Callable[[Tensor, Tensor], Tensor],
    *,
    weight: float,
) -> Tensor:
    """Add `weight` times the loss of each auxiliary classifier to that of the logits.

    Args:
        outputs: as the network gave them; plain logits where it has no auxiliary classifier.
    """
    if isinstance(outputs, Tensor):
        return criterion(outputs, target)
    loss = criterion(outputs.logits, target)
    for logits in outputs.auxiliary:
        loss = loss + weight * criterion(logits, target)
    return loss
