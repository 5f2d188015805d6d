"""Mel scale: frequencies as far apart as they sound, and the bands of a spectrogram by it.

Source: Slaney, "Auditory Toolbox", technical report 1998-010, Interval Research (linear below
    1 kHz, logarithmic above); Young et al., "The HTK Book", section 5.4 (one logarithm).
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.spectrogram import Spectrogram

Scale = Literal["slaney", "htk"]
BREAK_HZ, LINEAR_HZ = 1000.0, 200 / 3  # Slaney: Hz a mel below the break
STEP = math.log(6.4) / 27  # Slaney: of the logarithm, a mel above it


def hz_to_mel(hz: Tensor, scale: Scale = "slaney") -> Tensor:
    """Return frequencies in mel."""
    if scale == "htk":
        return 2595 * torch.log10(1 + hz / 700)
    above = BREAK_HZ / LINEAR_HZ + torch.log(hz.clamp(min=1e-9) / BREAK_HZ) / STEP
    return torch.where(hz < BREAK_HZ, hz / LINEAR_HZ, above)


def mel_to_hz(mel: Tensor, scale: Scale = "slaney") -> Tensor:
    """Return frequencies in Hz: the inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    middle = BREAK_HZ / LINEAR_HZ
    return torch.where(mel < middle, mel * LINEAR_HZ, BREAK_HZ * torch.exp(STEP * (mel - middle)))


def mel_filters(
    rate_hz: float,
    n_fft: int,
    bands: int,
    *,
    low_hz: float = 0.0,
    high_hz: float | None = None,
    scale: Scale = "slaney",
    equal_area: bool | None = None,
) -> Tensor:
    """Return triangles on the mel scale, each from the middle of one neighbour to the other's.

    Args:
        high_hz: end of the last band; half the rate where not given.
        equal_area: divide each triangle by its half width in Hz; where not given as the scale's
            authors do (Slaney: yes, HTK: no).

    Shape: float32 (bands, n_fft // 2 + 1)

    Raises:
        UsageError: no band, or no room for them between the frequencies.
    """
    high = rate_hz / 2 if high_hz is None else high_hz
    if bands < 1 or not 0 <= low_hz < high <= rate_hz / 2:
        raise UsageError(
            f"mel_filters: {bands} bands from {low_hz:g} to {high:g} Hz do not fit a rate of "
            f"{rate_hz:g} Hz"
        )
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (rate_hz / n_fft)
    # On the CPU, as its numbers are needed where a network is built on shapes alone, too.
    ends = torch.tensor([low_hz, high], dtype=torch.float64, device="cpu")
    first, last = hz_to_mel(ends, scale).tolist()
    edges = mel_to_hz(torch.linspace(first, last, bands + 2, dtype=torch.float64), scale)
    lower, middle, upper = (edges[i : i + bands, None] for i in range(3))
    rising, falling = (bins - lower) / (middle - lower), (upper - bins) / (upper - middle)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    if scale == "slaney" if equal_area is None else equal_area:
        triangles = triangles * (2 / (upper - lower))
    return triangles.float()


class MelSpectrogram(nn.Module):
    """Sum the power of a spectrogram over bands of the mel scale.

    Args:
        spectrogram: of the waveform.
        rate_hz: of the waveform.
        bands: of the mel scale; `options` as in `mel_filters`.

    Shape: (n, t) -> (n, bands, frames)

    Cost: bands * (n_fft // 2 + 1) multiply-adds a frame, above those of the spectrogram.
    """

    filters: Tensor

    def __init__(
        self,
        spectrogram: Spectrogram,
        rate_hz: float,
        bands: int,
        *,
        low_hz: float = 0.0,
        high_hz: float | None = None,
        scale: Scale = "slaney",
        equal_area: bool | None = None,
    ):
        super().__init__()
        self.spectrogram = spectrogram
        filters = mel_filters(
            rate_hz,
            spectrogram.n_fft,
            bands,
            low_hz=low_hz,
            high_hz=high_hz,
            scale=scale,
            equal_area=equal_area,
        )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.filters @ self.spectrogram(x)
