"""From a waveform of any length to probabilities of classes."""

import json
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.audio.features import SoundFeatures
from convatlas.data.audio.windows import count_windows, cut_windows
from convatlas.deploy.class_agreement import compare_probabilities
from convatlas.deploy.classifier import CLASSES
from convatlas.deploy.predictor import Agreement, Predictor, answer_by_size
from convatlas.ops.loudness import FRAME_S

RATE = "rate_hz"  # in the metadata of an exported file
MAX_SAMPLES = 1 << 21  # of a sound that is answered whole: a longer one in parts


class SoundClassifier(Predictor):
    """Windows, front end, network and softmax as one module; the answers of windows are averaged.

    Args:
        features: windows of sound to the network's input.
        network: its logits become the probabilities.
        rate_hz: of the waveform.
        classes: names of the outputs, for the exported file.
        silence_db: below the loudest frame, from where frames were left out before this module.

    Shape: float32 (n, samples) -> float32 (n, classes), each row sums to 1
    """

    inputs = MappingProxyType({"waveform": {0: "n", 1: "samples"}})
    outputs = ("probabilities",)
    items = "sounds"
    decision = "same top-1"

    def __init__(
        self,
        features: SoundFeatures,
        network: nn.Module,
        rate_hz: int,
        classes: Sequence[str] = (),
        *,
        silence_db: float | None = None,
    ):
        super().__init__()
        self.features, self.network = features, network
        self.window = features.samples
        self.metadata = {
            CLASSES: json.dumps(list(classes), ensure_ascii=False),
            RATE: str(rate_hz),
            "window_samples": str(self.window),
        }
        self.usage = (
            f"input `waveform`: float32 (n, samples) from -1 to 1 at {rate_hz:,} Hz, one channel, "
            "any length; output `probabilities`"
        )
        if silence_db is not None:
            self.metadata["silence_db"] = f"{silence_db:g}"
            self.usage += (
                f"; leave out silence first: frames of {1000 * FRAME_S:g} ms that are "
                f"{silence_db:g} dB or more below the loudest one"
            )

    def forward(self, waveform: Tensor) -> Tensor:
        windows = cut_windows(waveform, self.window)
        logits = self.network(self.features(windows.flatten(0, 1))).float()
        return torch.softmax(logits, dim=1).unflatten(0, windows.shape[:2]).mean(1)

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random sounds of more than two windows. Shape: float32 (n, samples)"""
        return (torch.rand(batch, 2 * self.window + self.window // 3) - 0.5,)

    def compare(self, expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
        """Compare probabilities and the most probable class. Shape: both (n, classes)"""
        return compare_probabilities(expected, answered, tolerance)

    def answers(self, items: Sequence[Tensor], run: Callable[[Tensor], Any]) -> Tensor:
        """Answer sounds of any lengths; long ones part by part, with the answer of the whole."""
        parts = [self._parts(item) for item in items]
        rows = iter(answer_by_size([part for each in parts for part in each], run))
        answers = []
        for each in parts:
            counts = torch.tensor([float(count_windows(len(p), self.window)) for p in each])
            answers.append(torch.stack([next(rows) for _ in each]).T @ (counts / counts.sum()))
        return torch.stack(answers)

    def _parts(self, sound: Tensor) -> list[Tensor]:
        """Cut a long sound where its windows begin, so that they stay the same."""
        step = self.window * max(1, MAX_SAMPLES // self.window)
        if len(sound) <= step:
            return [sound]
        parts = list(sound.split(step))
        if len(parts[-1]) < self.window:
            parts[-1] = sound[-self.window :]
        return parts
