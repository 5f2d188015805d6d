"""Mel-frequency cepstral coefficients: the shape of the spectrum in a few numbers a frame.

Source: Davis & Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word
    Recognition", IEEE Transactions on Acoustics, Speech and Signal Processing 28, 1980.
"""

import math

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.mel import MelSpectrogram
from convatlas.ops.spectrogram import Spectrogram

FLOOR = 1e-10  # of a power, so that it has a logarithm


def decibels(power: Tensor, *, range_db: float | None = None, floor: float = FLOOR) -> Tensor:
    """Return powers in decibels above 1.

    Args:
        range_db: below the largest power of each item, where the rest is cut off.

    Shape: (n, f, t) -> (n, f, t)
    """
    level = 10 * torch.log10(power.clamp(min=floor))
    if range_db is None:
        return level
    return torch.maximum(level, level.amax(dim=(-2, -1), keepdim=True) - range_db)


def cosine_basis(length: int, count: int) -> Tensor:
    """Return the first rows of the orthonormal cosine transform (DCT-II).

    Shape: float32 (count, length)
    """
    steps = torch.arange(length, dtype=torch.float64) + 0.5
    orders = torch.arange(count, dtype=torch.float64)
    basis = torch.cos(math.pi / length * orders[:, None] * steps) * math.sqrt(2 / length)
    basis[0] /= math.sqrt(2)
    return basis.float()


class MFCC(nn.Module):
    """Transform the decibels of mel bands by cosines and keep the first coefficients.

    Args:
        mel: of the waveform.
        count: coefficients that are kept.
        range_db: as in `decibels`.

    Shape: (n, t) -> (n, count, frames)

    Raises:
        UsageError: more coefficients than bands.
    """

    basis: Tensor

    def __init__(self, mel: MelSpectrogram, count: int, *, range_db: float | None = 80.0):
        super().__init__()
        bands = len(mel.filters)
        if not 1 <= count <= bands:
            raise UsageError(f"MFCC: count must be from 1 to the {bands} bands, got {count}")
        self.mel, self.range_db = mel, range_db
        self.register_buffer("basis", cosine_basis(bands, count), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.basis @ decibels(self.mel(x), range_db=self.range_db)


def swishnet_mfcc(rate_hz: int = 16_000) -> MFCC:
    """Return the features of SwishNet: 20 coefficients of 32 bands, 25 ms every 10 ms.

    Shape: the module takes (n, t) and gives (n, 20, frames): 48, 98 and 198 for 0.5, 1 and 2 s.

    Source: Hussain & Haque, 2018, arXiv:1812.00149, section 3.
    """
    frame, hop = round(0.025 * rate_hz), round(0.010 * rate_hz)
    spectrogram = Spectrogram(frame, hop, padding="none")
    return MFCC(MelSpectrogram(spectrogram, rate_hz, 32), 20, range_db=None)
