"""A speaker as a short vector, without training: the statistics of the bands of a clip.

Stands where the published extractors have i-vectors, which need a background model of their own.
The interface is the same, a vector of fixed length, so that i-vectors or a trained embedding fit as
well.

Source: none published; mean and deviation of log-mel bands over time are what i-vectors and
    x-vectors pool as well (Snyder et al., "X-Vectors", ICASSP 2018, statistics pooling).
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_waveform
from convatlas.ops.mel import MelSpectrogram
from convatlas.ops.spectrogram import Spectrogram

FRAME_S, HOP_S = 0.032, 0.008
FLOOR = 1e-6  # of the loudest band's mean power: what lies below is silence of the room
EPS = 1e-4  # of a variance: 0.1 dB of a band
DECIBELS = 10.0  # that the numbers are measured in, so that they lie around 1


class RelativeLogMel(nn.Module):
    """Power of each mel band in each frame, in units of 10 dB below the loudest band's mean.

    Args:
        rate_hz: of the waveform.
        bands: of the mel scale.

    Shape: (n, t) -> (n, bands, frames); t from one frame of 32 ms up
    """

    def __init__(self, rate_hz: int = 8000, bands: int = 40):
        super().__init__()
        self.frame = 2 * round(rate_hz * FRAME_S / 2)
        spectrogram = Spectrogram(self.frame, round(rate_hz * HOP_S), padding="none")
        self.mel = MelSpectrogram(spectrogram, rate_hz, bands)

    def forward(self, x: Tensor) -> Tensor:
        power = self.mel(x)
        loudest = power.mean(2).amax(1)[:, None, None].clamp(min=torch.finfo(x.dtype).tiny)
        return 10 * (power / loudest + FLOOR).log10() / DECIBELS


class SpeakerStatistics(nn.Module):
    """Mean and deviation over time of each log-mel band, whatever the loudness.

    Args:
        rate_hz: of the waveform.
        bands: of the mel scale; the vector has twice as many numbers.

    Shape: (n, t) -> (n, 2 * bands); t from one frame of 32 ms up
    """

    def __init__(self, rate_hz: int = 8000, bands: int = 40):
        super().__init__()
        self.features = 2 * bands
        self.bands = RelativeLogMel(rate_hz, bands)

    def forward(self, x: Tensor) -> Tensor:
        check_waveform(x, "SpeakerStatistics", min_samples=self.bands.frame)
        return pool_statistics(self.bands(x))


def pool_statistics(x: Tensor) -> Tensor:
    """Return mean and deviation over time of each channel. Shape: (n, c, t) -> (n, 2 * c)"""
    return torch.cat([x.mean(2), x.std(2, correction=0)], dim=1)


class Standardised(nn.Module):
    """Numbers less their mean, in deviations, over all examples that training has shown so far.

    What all speakers share is far larger than what tells them apart. Batches may hold one example.

    Args:
        features: numbers of an example.

    Shape: (n, features) -> (n, features)
    """

    mean: Tensor
    square: Tensor
    seen: Tensor

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("square", torch.ones(features))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._take(x.detach())
        deviation = (self.square - self.mean.square()).clamp(min=EPS).sqrt()
        return (x - self.mean) / deviation

    @torch.no_grad()
    def _take(self, x: Tensor) -> None:
        """Add a batch to the means, each example with the same weight."""
        self.seen += len(x)
        share = len(x) / self.seen
        self.mean += share * (x.mean(0) - self.mean)
        self.square += share * (x.square().mean(0) - self.square)
