"""A speaker as a vector that is learned together with the extractor that it tells.

Convolutions over the mel bands of a clip, then mean and deviation over time, so that clips of any
length give vectors of one length. The same of the bands themselves stands beside them: it tells
voices apart from the first step on, while the convolutions are still to be learned.

Source: Xu, Rao, Chng, Li, "SpEx", 2020, arXiv:2004.08326, section II-C, for an encoder of residual
    blocks with pooling that is learned jointly; Snyder et al., "X-Vectors", ICASSP 2018, for mean
    and deviation over time.
Differs: SpEx reads windows of its own trained basis and pools means alone; mel bands and their
    statistics need fewer examples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import check_waveform
from convatlas.models.speech.speaker_statistics import (
    RelativeLogMel,
    Standardised,
    pool_statistics,
)
from convatlas.ops.layer_norms import GlobalLayerNorm

BANDS, BLOCKS, POOLED = 40, 3, 3  # mel bands; residual blocks; frames that become one after each


class SpeakerEncoder(nn.Module):
    """Turn clips of a voice into vectors of the speaker.

    Args:
        rate_hz: of the waveform.
        channels: of every block.
        features: length of the vector.

    Shape: (n, t) -> (n, features); t from `min_samples` up, which last a quarter of a second
    """

    def __init__(self, rate_hz: int = 8000, *, channels: int = 128, features: int = 128):
        super().__init__()
        self.features = features
        self.bands = RelativeLogMel(rate_hz, BANDS)
        hop = self.bands.mel.spectrogram.hop
        self.min_samples = self.bands.frame + (2 * POOLED**BLOCKS - 1) * hop  # deviations need two
        self.first = nn.Sequential(nn.Conv1d(BANDS, channels, 1), GlobalLayerNorm(channels))
        self.blocks = nn.ModuleList(ResidualPool(channels) for _ in range(BLOCKS))
        self.standardised = Standardised(2 * BANDS)
        self.last = nn.Linear(2 * channels + 2 * BANDS, features)

    def forward(self, x: Tensor) -> Tensor:
        check_waveform(x, "SpeakerEncoder", min_samples=self.min_samples)
        bands = self.bands(x)
        y = self.first(bands)
        for block in self.blocks:
            y = block(y)
        plain = self.standardised(pool_statistics(bands))
        return self.last(torch.cat([pool_statistics(y), plain], dim=1))


class ResidualPool(nn.Module):
    """Add what two convolutions find, then keep the largest of every three frames.

    Shape: (n, channels, k) -> (n, channels, k // 3)
    """

    def __init__(self, channels: int):
        super().__init__()
        self.found = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1),
            GlobalLayerNorm(channels),
            nn.PReLU(),
            nn.Conv1d(channels, channels, 1),
            GlobalLayerNorm(channels),
        )
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool1d(self.act(x + self.found(x)), POOLED)
