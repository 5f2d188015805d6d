"""TseNet: out of a mixture, the voice of one speaker, who is given as a vector.

As Conv-TasNet with one mask, but at the start of each stack the network is told whom to listen to:
the speaker's vector passes a layer of its own and is laid beside the channels of every frame. With
one output there is no order of voices to search for.

Source:  Xu, Rao, Chng, Li, "Time-domain speaker extraction network", ASRU 2019, arXiv:2004.14762,
         section 3.
Claims:  claims/tsenet.toml
Differs: the paper's i-vectors need a background model that was trained on speech; any vector of a
         speaker fits here, such as the embedding of an enrolment clip. Sizes, and the vector at
         the start of every stack, are those of the authors' later networks; the paper's own table
         was not at hand.
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option, check_waveform
from convatlas.models.registry import register
from convatlas.models.speech.learned_basis import LearnedBasis
from convatlas.models.speech.temporal_blocks import NORMS, TemporalNet
from convatlas.ops.layer_norms import ChannelLayerNorm
from convatlas.ops.tracing import is_traced

RATE_HZ = 8000
SECONDS = 4  # of a training example
SPEAKER_FEATURES = 400  # of an i-vector


class TseNet(nn.Module):
    """Extractor of one speaker's voice, at 8 kHz as published.

    Args:
        encoder_filters: signals of the trained basis, U in the paper.
        filter_length: of each in samples, L; an even number.
        channels: of the residual path, N.
        hidden: channels inside a block, O.
        kernel: frames that a filter reads, P.
        blocks: in a stack, b; their dilations are 1, 2, 4 and so on.
        repeats: stacks, r.
        speaker_features: length of the vector of a speaker.
        speaker_channels: that the vector becomes beside the channels of a frame.
        inject: lay the vector beside the frames at the start of `every` stack or of the `first`.
        norm: of the blocks: `global` over channels and time, `cumulative` or `batch`.
        width: multiplies the four channel counts.

    Shape: (n, t) mixtures, (n, speaker_features) -> (n, t) voices; t from `filter_length` samples
        up.

    Raises:
        UsageError: an option that has no such form.
    """

    rate_hz: Final = RATE_HZ

    def __init__(
        self,
        *,
        encoder_filters: int = 256,
        filter_length: int = 20,
        channels: int = 256,
        hidden: int = 512,
        kernel: int = 3,
        blocks: int = 8,
        repeats: int = 4,
        speaker_features: int = SPEAKER_FEATURES,
        speaker_channels: int = 256,
        inject: str = "every",
        norm: str = "global",
        width: float = 1.0,
    ):
        super().__init__()
        check_option("TseNet", "inject", inject, ("every", "first"))
        check_option("TseNet", "norm", norm, NORMS)
        u, n, o, d = (
            max(1, round(c * width)) for c in (encoder_filters, channels, hidden, speaker_channels)
        )
        self.speaker_features = speaker_features
        self.basis = LearnedBasis(u, filter_length, relu=True)
        self.norm = ChannelLayerNorm(u)
        self.bottleneck = nn.Conv1d(u, n, 1)
        self.speaker = nn.Sequential(nn.Linear(speaker_features, d), nn.ReLU())
        self.stacks = nn.ModuleList(
            TemporalNet(
                n,
                o,
                0,
                kernel=kernel,
                blocks=blocks,
                repeats=1,
                norm=norm,
                beside=d if r == 0 or inject == "every" else 0,
            )
            for r in range(repeats)
        )
        self.mask = nn.Sequential(nn.Conv1d(n, u, 1), nn.ReLU())

    def forward(self, x: Tensor, speaker: Tensor) -> Tensor:
        check_waveform(x, "TseNet", min_samples=self.basis.length)
        _check_speaker(speaker, self.speaker_features)
        weights = self.basis.encode(x)
        y = self.bottleneck(self.norm(weights))
        told = self.speaker(speaker).unsqueeze(2).expand(-1, -1, weights.size(2))
        for stack in self.stacks:
            y = stack(y, told) if stack.beside else stack(y)
        masked = self.mask(y) * weights
        return self.basis.decode(masked.unsqueeze(1), x.size(1)).squeeze(1)

    def example(self, batch: int = 1, samples: int = SECONDS * RATE_HZ) -> tuple[Tensor, Tensor]:
        """Return random waveforms and vectors, by default of four seconds at 8 kHz.

        Args:
            batch: number of mixtures.
            samples: of each.
        """
        return torch.rand(batch, samples) - 0.5, torch.randn(batch, self.speaker_features)

    @classmethod
    def tiny(cls) -> "tuple[TseNet, tuple[Tensor, Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(width=1 / 16, blocks=2, repeats=1, speaker_features=12)
        return model, model.example(batch=2, samples=203)


def _check_speaker(speaker: Tensor, features: int) -> None:
    if torch.jit.is_scripting() or is_traced(speaker):  # pyright: ignore[reportPrivateImportUsage]
        return
    if speaker.ndim != 2 or speaker.shape[1] != features:
        raise ValueError(
            f"TseNet: the speaker must be a vector (n, {features}), got {tuple(speaker.shape)}"
        )


register("tsenet", TseNet, "extract")
