"""The moving average of weights that is evaluated and kept instead of the last step's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """Build an exponential moving average of all weights and running statistics.

    The decay grows with the number of updates, so that a short run is not tied to its start.

    Source: the `num_updates` rule of TensorFlow's ExponentialMovingAverage.
    """

    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Any) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        # torch hands over one list a type of number; a counter of batches has no average.
        if average[0].is_floating_point():
            torch._foreach_lerp_(list(average), list(current), 1 - now)  # pyright: ignore[reportPrivateImportUsage]
        else:
            torch._foreach_copy_(list(average), list(current))  # pyright: ignore[reportPrivateImportUsage]

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
