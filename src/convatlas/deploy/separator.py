"""From a mixture of voices to the voices."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.audio.voice_data import voice_names
from convatlas.deploy.overlap_add import separate_pieces
from convatlas.deploy.predictor import Agreement, Predictor

RATE, VOICES = "rate_hz", "voices"  # in the metadata of an exported file
WINDOW_SECONDS = 8.0  # of a recording, that are separated at once
MIN_SAMPLES = 256  # a shorter mixture is filled with silence


class Separator(Predictor):
    """A network that separates voices, and the loudness that its training leaves open.

    The voices are scaled so that their sum is as near to the mixture as it can be.

    Args:
        network: (n, samples) -> (n, voices, samples).
        rate_hz: of the waveform.
        voices: that come out.
        seconds: of a usual mixture.
        background: what the last voice is, where that is no speaker.

    Shape: float32 (n, samples) -> float32 (n, voices, samples)
    """

    inputs = MappingProxyType({"mixture": {0: "n", 1: "samples"}})
    outputs = ("voices",)
    items = "mixtures"
    decision = "the same voices"

    def __init__(
        self,
        network: nn.Module,
        rate_hz: int,
        voices: int,
        seconds: float,
        *,
        background: str | None = None,
    ):
        super().__init__()
        self.network, self.rate_hz, self.voices = network, rate_hz, voices
        self.names, self._fixed = voice_names(voices, background), int(background is not None)
        self._samples = max(MIN_SAMPLES, round(seconds * rate_hz))
        self.metadata = {RATE: str(rate_hz), VOICES: str(voices)}
        self.usage = (
            f"input `mixture`: float32 (n, samples) from -1 to 1 at {rate_hz:,} Hz, one channel, "
            f"{MIN_SAMPLES} samples or more; output `voices` (n, {voices}, samples)"
        )

    def forward(self, mixture: Tensor) -> Tensor:
        voices = self.network(mixture).float()
        gain = (mixture[:, None] * voices).sum(2, keepdim=True) / (
            voices.square().sum(2, keepdim=True) + 1e-8
        )
        return voices * gain

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random mixtures of a usual length. Shape: float32 (n, samples)"""
        return (torch.rand(batch, self._samples + 1) - 0.5,)

    def compare(
        self, expected: Sequence[Tensor], answered: Sequence[Tensor], tolerance: float
    ) -> Agreement:
        """Compare voices sample by sample. Shape: each (voices, samples)"""
        found = [float((e - a).abs().max()) for e, a in zip(expected, answered, strict=True)]
        same = sum(difference <= tolerance for difference in found)
        return Agreement(same / len(found), max(found))

    def answers(self, items: Sequence[Tensor], run: Callable[[Tensor], Any]) -> list[Tensor]:
        """Separate mixtures of any lengths, long ones window by window."""
        return [torch.cat(list(self.in_pieces([item], run)), dim=1) for item in items]

    def in_pieces(
        self, samples: Iterable[Tensor], run: Callable[[Tensor], Any] | None = None
    ) -> Iterator[Tensor]:
        """Return the voices of a recording piece by piece; memory holds a few windows of it.

        A recording that fits into a window is separated at once.

        Args:
            samples: the recording in order, in pieces of any length. Shape: each (t,)
            run: takes a batch as `forward` does; this module where not given.

        Shape: each (voices, u)
        """
        return separate_pieces(
            run or self, samples, self.window, min_samples=MIN_SAMPLES, fixed=self._fixed
        )

    @property
    def window(self) -> int:
        """Samples that are separated at once; a longer recording goes window by window."""
        return 2 * round(WINDOW_SECONDS * self.rate_hz / 2)
