"""From a mixture and a clip, or a vector, of one speaker to that speaker's voice."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.audio.enrolment_clip import MIN_CLIP_SECONDS
from convatlas.deploy.overlap_add import separate_pieces
from convatlas.deploy.predictor import Agreement, Predictor
from convatlas.deploy.separator import MIN_SAMPLES, RATE, WINDOW_SECONDS


class Extractor(Predictor):
    """A network that extracts the voice of the speaker of a clip.

    Its training leaves the loudness open, and `forward` as well; `answers` and `in_pieces` scale
    the voice so that it is as near to the mixture as it can be.

    Args:
        network: (n, samples), (n, clip_samples) -> (n, samples).
        rate_hz: of the waveforms.
        seconds: of a usual mixture.
        clip_seconds: of a usual clip.

    Shape: float32 (n, samples), (n, clip_samples) -> float32 (n, samples)
    """

    inputs = MappingProxyType(
        {"mixture": {0: "n", 1: "samples"}, "enrolment": {0: "n", 1: "clip_samples"}}
    )
    outputs = ("voice",)
    items = "mixtures"
    decision = "the same voice"

    def __init__(self, network: nn.Module, rate_hz: int, seconds: float, clip_seconds: float):
        super().__init__()
        self.network, self.rate_hz = network, rate_hz
        self.min_clip = round(MIN_CLIP_SECONDS * rate_hz)
        self._samples = max(MIN_SAMPLES, round(seconds * rate_hz))
        self._clip_samples = max(self.min_clip, round(clip_seconds * rate_hz))
        self.metadata = {RATE: str(rate_hz), "min_clip_samples": str(self.min_clip)}
        self.usage = (
            f"inputs `mixture` and `enrolment`: float32 (n, samples) each from -1 to 1 at "
            f"{rate_hz:,} Hz, one channel, {MIN_SAMPLES} samples or more of the mixture and "
            f"{self.min_clip} of the clip; output `voice` (n, samples) of any loudness"
        )

    def forward(self, mixture: Tensor, enrolment: Tensor) -> Tensor:
        return self.network(mixture, enrolment).float()

    def example(self, batch: int = 2) -> tuple[Tensor, Tensor]:
        """Return random mixtures and clips of usual lengths.

        Shape: float32 (n, samples), (n, clip_samples)
        """
        clip = self._clip_samples + (2 if self._clip_samples == self._samples else 1)
        return torch.rand(batch, self._samples + 1) - 0.5, torch.rand(batch, clip) - 0.5

    def compare(
        self, expected: Sequence[Tensor], answered: Sequence[Tensor], tolerance: float
    ) -> Agreement:
        """Compare voices sample by sample. Shape: each (samples,)"""
        found = [float((e - a).abs().max()) for e, a in zip(expected, answered, strict=True)]
        same = sum(difference <= tolerance for difference in found)
        return Agreement(same / len(found), max(found))

    def answers(
        self, items: Sequence[tuple[Tensor, Tensor]], run: Callable[..., Any]
    ) -> list[Tensor]:
        """Answer mixtures of any lengths, long ones window by window."""
        return [torch.cat(list(self.in_pieces([x], clip, run))) for x, clip in items]

    def in_pieces(
        self, samples: Iterable[Tensor], clip: Tensor, run: Callable[..., Any] | None = None
    ) -> Iterator[Tensor]:
        """Yield the voice of a recording piece by piece; memory holds a few windows of it.

        Args:
            samples: the recording in order, in pieces of any length. Shape: each (t,)
            clip: of the speaker, or the speaker's vector. Shape: (clip_samples,)
            run: takes batches as `forward` does; this module where not given.

        Shape: yields (u,)
        """
        voice_of = _Levelled(run or self, clip)
        pieces = separate_pieces(
            voice_of, samples, self.window, min_samples=MIN_SAMPLES, fit_levels=False
        )
        for piece in pieces:
            yield piece[0]

    @property
    def window(self) -> int:
        """Samples that are answered at once; a longer recording goes window by window."""
        return 2 * round(WINDOW_SECONDS * self.rate_hz / 2)


class VectorExtractor(Extractor):
    """The same where a vector tells the speaker, such as an i-vector.

    Args:
        features: numbers of the vector.

    Shape: float32 (n, samples), (n, features) -> float32 (n, samples)
    """

    inputs = MappingProxyType({"mixture": {0: "n", 1: "samples"}, "speaker": {0: "n"}})

    def __init__(self, network: nn.Module, rate_hz: int, seconds: float, features: int):
        super().__init__(network, rate_hz, seconds, clip_seconds=0)
        self.features = features
        self.metadata = {RATE: str(rate_hz), "speaker_features": str(features)}
        self.usage = (
            f"inputs `mixture`: float32 (n, samples) from -1 to 1 at {rate_hz:,} Hz, one channel, "
            f"{MIN_SAMPLES} samples or more, and `speaker`: float32 (n, {features}); output "
            "`voice` (n, samples) of any loudness"
        )

    def example(self, batch: int = 2) -> tuple[Tensor, Tensor]:
        """Return random mixtures and vectors. Shape: float32 (n, samples), (n, features)"""
        mixtures, _ = super().example(batch)
        return mixtures, torch.randn(batch, self.features)


class _Levelled:
    """Voices scaled to be nearest to all of the mixture that was heard so far, by least squares.

    Each window by itself would not do: where the speaker is silent, what leaks of others would be
    made as loud as they are.
    """

    def __init__(self, run: Callable[..., Any], clip: Tensor):
        self._run, self._clip = run, clip[None]
        self._shared = self._energy = 0.0

    def __call__(self, mixture: Tensor) -> Tensor:
        """Answer one window. Shape: (1, t) -> (1, 1, t)"""
        voice = self._run(mixture, self._clip)
        self._shared += float((mixture * voice).sum())
        self._energy += float(voice.square().sum())
        gain = max(0.0, self._shared) / self._energy if self._energy > 0 else 0.0
        return (gain * voice)[:, None]
