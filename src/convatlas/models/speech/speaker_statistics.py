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
DECIBELS = 10.0  # that the numbers are measured in, so that they lie around 1


class SpeakerStatistics(nn.Module):
    """Mean and deviation over time of each log-mel band, whatever the loudness.

    Args:
        rate_hz: of the waveform.
        bands: of the mel scale; the vector has twice as many numbers.

    Shape: (n, t) -> (n, 2 * bands); t from one frame of 32 ms up
    """

    def __init__(self, rate_hz: int = 8000, bands: int = 40):
        super().__init__()
        self.frame = 2 * round(rate_hz * FRAME_S / 2)
        spectrogram = Spectrogram(self.frame, round(rate_hz * HOP_S), padding="none")
        self.mel = MelSpectrogram(spectrogram, rate_hz, bands)

    def forward(self, x: Tensor) -> Tensor:
        check_waveform(x, "SpeakerStatistics", min_samples=self.frame)
        power = self.mel(x)
        loudest = power.mean(2).amax(1)[:, None, None].clamp(min=torch.finfo(x.dtype).tiny)
        decibels = 10 * (power / loudest + FLOOR).log10() / DECIBELS
        return torch.cat([decibels.mean(2), decibels.std(2, correction=0)], dim=1)
