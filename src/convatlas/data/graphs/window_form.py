"""What a forecaster reads of a window, and how its answer becomes readings again."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WindowForm(nn.Module):
    """Standardise windows, fill their gaps, and turn a network's answer into readings.

    The network answers with the change from the last known reading, in standard deviations of the
    sensor: one that answers with 0 repeats the last reading.

    Args:
        mean: of each sensor in the training part.
        std: the same; above 0.
        gaps: give the network a channel that says which readings are known.
        clock: give it the time of day, as sine and cosine.
        zeros_missing: whether 0 means a missing reading.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        gaps: bool,
        clock: bool,
        zeros_missing: bool = False,
    ):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.gaps, self.clock, self.zeros_missing = gaps, clock, zeros_missing

    def prepare(self, readings: Tensor, clock: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return what the network reads, and the last known reading of each sensor.

        A gap holds the last reading before it, or the sensor's mean.

        Shape: (n, t, v), (n, t) -> (n, channels, t, v) and (n, v)
        """
        known = ~readings.isnan()
        if self.zeros_missing:
            known = known & (readings != 0)
        last = self.mean.expand(readings.shape[0], -1)
        steps = []
        for step in range(readings.shape[1]):
            last = torch.where(known[:, step], readings[:, step], last)
            steps.append(last)
        channels = [(torch.stack(steps, dim=1) - self.mean) / self.std]
        if self.gaps:
            channels.append(known.to(last.dtype))
        if self.clock:
            assert clock is not None
            angle = (2 * math.pi * clock)[..., None].expand_as(readings)
            channels += [angle.sin(), angle.cos()]
        return torch.stack(channels, dim=1), last

    def readings(self, answer: Tensor, last: Tensor) -> Tensor:
        """Turn a network's answer into readings. Shape: (n, h, v), (n, v) -> (n, h, v)"""
        return last[:, None] + answer * self.std
