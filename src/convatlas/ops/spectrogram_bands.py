"""Spectrogram images with three channels: three bands of one, or three windows.

Source: Guzhov et al., "ESResNet", ICPR 2020, arXiv:2004.07301 (three bands; sizes as in the
    authors' repository); Palanisamy et al., "Rethinking CNN Models for Audio Classification", 2020,
    arXiv:2007.11154 (three windows).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.mel import MelSpectrogram
from convatlas.ops.spectrogram import Spectrogram

SIXTEEN_BITS = 32768.0  # ESResNet: samples are whole numbers
WINDOWS_MS = ((25, 10), (50, 25), (100, 50))  # window and hop of each channel
LOG_OFFSET = 1e-6


class ThreeBands(nn.Module):
    """Split a power spectrogram into its low, middle and high third, in decibels.

    Args:
        n_fft: samples of a frame; frequencies above a multiple of three are dropped.
        hop: samples from one frame to the next.
        window_length: samples of the Blackman-Harris window.

    Shape: (n, t) -> (n, 3, (n_fft // 2 + 1) // 3, 1 + t // hop); the low third is channel 0.
        As published 5 s at 44.1 kHz are (n, 3, 341, 394).
    """

    def __init__(self, n_fft: int = 2048, hop: int = 561, window_length: int = 1654):
        super().__init__()
        self.spectrogram = Spectrogram(
            n_fft,
            hop,
            window="blackman_harris",
            window_length=window_length,
            padding="reflect",
            normalized=True,
        )
        self.rows = (n_fft // 2 + 1) // 3

    def forward(self, x: Tensor) -> Tensor:
        power = self.spectrogram(x * SIXTEEN_BITS)[:, : 3 * self.rows]
        level = 10 * torch.log10(torch.where(power == 0, 1e-18, power))
        return level.reshape(x.shape[0], 3, self.rows, level.shape[-1])


class ThreeWindows(nn.Module):
    """Stack log-mel spectrograms of three window lengths as the channels of one image.

    Short windows tell when, long ones tell which frequency.

    Args:
        rate_hz: of the waveform.
        size: bands and columns of the image.
        windows_ms: window and hop of each channel, in milliseconds.

    Shape: (n, t) -> (n, 3, *size)

    Differs: columns are interpolated from their two neighbours without a filter before it, where
        the repository resizes with Pillow.

    Raises:
        UsageError: no window.
    """

    def __init__(
        self,
        rate_hz: float,
        size: tuple[int, int] = (128, 250),
        windows_ms: Sequence[tuple[float, float]] = WINDOWS_MS,
    ):
        super().__init__()
        if not windows_ms:
            raise UsageError("ThreeWindows: must be given windows, got none")
        self.size = size
        longest = max(round(window * rate_hz / 1000) for window, _ in windows_ms)
        self.mels = nn.ModuleList(
            MelSpectrogram(
                Spectrogram(
                    longest,
                    round(hop * rate_hz / 1000),
                    window_length=round(window * rate_hz / 1000),
                    padding="reflect",
                ),
                rate_hz,
                size[0],
                scale="htk",
            )
            for window, hop in windows_ms
        )

    def forward(self, x: Tensor) -> Tensor:
        images = [torch.log(mel(x) + LOG_OFFSET)[:, None] for mel in self.mels]
        return torch.cat(
            [F.interpolate(image, self.size, mode="bilinear") for image in images], dim=1
        )
