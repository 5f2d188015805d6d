"""The moving average of weights that is evaluated and kept instead of the last step's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of all weights and running statistics.

    The decay grows with the number of updates, so that a short run is not tied to its start.

    Source: the `num_updates` rule of TensorFlow's ExponentialMovingAverage.
    """

    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Any) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        floats = [i for i, tensor in enumerate(average) if tensor.is_floating_point()]
        old, new = [average[i] for i in floats], [current[i] for i in floats]
        torch._foreach_lerp_(old, new, 1 - now)  # pyright: ignore[reportPrivateImportUsage]
        for i, tensor in enumerate(average):
            if not tensor.is_floating_point():  # a counter of batches has no average
                tensor.copy_(current[i])

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
