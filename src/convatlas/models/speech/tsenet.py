"""TseNet: out of a mixture, the voice of one speaker, who is given as a vector.

As Conv-TasNet with one mask, but at the start of each stack the network is told whom to listen to:
the speaker's vector passes a layer of its own and is laid beside the channels of every frame. With
one output there is no order of voices to search for.

Source:  Xu, Rao, Chng, Li, "Time-domain speaker extraction network", ASRU 2019, arXiv:2004.14762,
         section 3.
Claims:  claims/tsenet.toml
Differs: the paper's i-vectors need a background model that was trained on speech; any vector of a
         speaker fits here. With `enrolment` the network makes it itself from a clip. Sizes, and
         the vector at the start of every stack, are those of the authors' later networks; the
         paper's own table was not at hand.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option, check_waveform
from convatlas.models.registry import register
from convatlas.models.speech.learned_basis import LearnedBasis
from convatlas.models.speech.speaker_encoder import SpeakerEncoder
from convatlas.models.speech.speaker_statistics import SpeakerStatistics, Standardised
from convatlas.models.speech.temporal_blocks import NORMS, TemporalNet
from convatlas.ops.layer_norms import ChannelLayerNorm
from convatlas.ops.tracing import is_traced

RATE_HZ = 8000
SECONDS = 4  # of a training example
CLIP_SECONDS = 3  # of a usual enrolment clip
SPEAKER_FEATURES = 400  # of an i-vector
ENROLMENTS = ("vector", "statistics", "trained")


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
        enrolment: what tells the speaker: a `vector`, as published, or a clip of the voice, of
            which the network takes the `statistics` of mel bands or a `trained` embedding.
        speaker_features: length of the vector of a speaker, where it is given as such.
        speaker_channels: that the vector becomes beside the channels of a frame.
        inject: lay the vector beside the frames at the start of `every` stack or of the `first`.
        norm: of the blocks: `global` over channels and time, `cumulative` or `batch`.
        rate_hz: of the waveforms; matters for clips alone.
        width: multiplies the four channel counts, and those of a trained embedding.

    Shape: (n, t) mixtures, (n, speaker_features) -> (n, t) voices; t from `filter_length` samples
        up. With clips (n, u) in place of vectors, u from a quarter of a second up.

    Raises:
        UsageError: an option that has no such form.
    """

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
        enrolment: str = "vector",
        speaker_features: int = SPEAKER_FEATURES,
        speaker_channels: int = 256,
        inject: str = "every",
        norm: str = "global",
        rate_hz: int = RATE_HZ,
        width: float = 1.0,
    ):
        super().__init__()
        check_option("TseNet", "inject", inject, ("every", "first"))
        check_option("TseNet", "norm", norm, NORMS)
        check_option("TseNet", "enrolment", enrolment, ENROLMENTS)
        u, n, o, d = (
            max(1, round(c * width)) for c in (encoder_filters, channels, hidden, speaker_channels)
        )
        self.rate_hz, self.takes_clips = rate_hz, enrolment != "vector"
        self.describe: nn.Module = nn.Identity()
        if enrolment == "statistics":
            statistics = SpeakerStatistics(rate_hz)
            speaker_features = statistics.features
            self.describe = nn.Sequential(statistics, Standardised(speaker_features))
        elif enrolment == "trained":
            self.describe = SpeakerEncoder(rate_hz, channels=d, features=d)
            speaker_features = d
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
        vector = self.describe(speaker)
        _check_speaker(vector, self.speaker_features)
        weights = self.basis.encode(x)
        y = self.bottleneck(self.norm(weights))
        told = self.speaker(vector).unsqueeze(2).expand(-1, -1, weights.size(2))
        for stack in self.stacks:
            y = stack(y, told) if stack.beside else stack(y)
        masked = self.mask(y) * weights
        return self.basis.decode(masked.unsqueeze(1), x.size(1)).squeeze(1)

    def example(
        self, batch: int = 1, samples: int | None = None, clip_samples: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return random waveforms and vectors or clips, by default of the published length.

        Args:
            batch: number of mixtures.
            samples: of each; of four seconds where not given.
            clip_samples: of each clip; of three seconds where not given.
        """
        mixtures = torch.rand(batch, samples or SECONDS * self.rate_hz) - 0.5
        if self.takes_clips:
            return mixtures, torch.rand(batch, clip_samples or CLIP_SECONDS * self.rate_hz) - 0.5
        return mixtures, torch.randn(batch, self.speaker_features)

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
register(
    "tsenet_small",  # as conv_tasnet_small with longer windows, so that a CPU can train it
    TseNet,
    "extract",
    encoder_filters=128,
    filter_length=80,
    channels=128,
    hidden=256,
    speaker_channels=128,
    blocks=7,
    repeats=2,
)
