"""A finished run: load it, ask it, test it, export it again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convatlas.data import ScanReport, Split, load_split, open_test, read_image, shown
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.proof import Proof
from convatlas.errors import DataError, UsageError, nearest
from convatlas.explain.evaluation import Evaluation
from convatlas.job.answers import answer, height_width_channels, sample_images
from convatlas.job.config import FILE_NAMES, Contender, RunConfig
from convatlas.job.exporting import export_proved
from convatlas.models.registry import find_entry
from convatlas.progress import Progress, Silent
from convatlas.train.weights import load_weights

FORMATS = ("onnx",)


@dataclass(frozen=True)
class Prediction:
    """The answer for one file; `error` says why there is none."""

    file: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    error: str | None = None


class Run:
    """A run folder, opened.

    Args:
        path: the folder.
        config: what its `run.json` says.
    """

    def __init__(self, path: Path, config: RunConfig):
        self.path, self.config = path, config
        self._classifier: ImageClassifier | None = None

    @property
    def leaderboard(self) -> list[Contender]:
        """Every candidate with its cost, accuracy and fate; the chosen one first."""
        return self.config.leaderboard

    @property
    def files(self) -> dict[str, Path]:
        """What the folder holds, by kind."""
        paths = {kind: self.path / name for kind, name in FILE_NAMES.items()}
        return {kind: path for kind, path in paths.items() if path.exists()}

    @property
    def warnings(self) -> list[str]:
        """What was found in the data before training, a sentence for each kind; counted."""
        path = self.path / FILE_NAMES["scan"]
        if not path.is_file():
            return []
        try:
            return ScanReport.from_dict(json.loads(path.read_text(encoding="utf-8"))).warnings()
        except (OSError, ValueError, TypeError, KeyError):
            return [f"{shown(path)}: cannot be read, so what was found in the data is not known"]

    def model(self) -> nn.Module:
        """The trained network in evaluation mode: normalised images in, logits out."""
        network = find_entry(self.config.model).build(**self.config.options)
        load_weights(network, self.path / FILE_NAMES["weights"])
        return network.eval()

    def classifier(self) -> ImageClassifier:
        """Network and pre-processing as one module: 8-bit images in, probabilities out."""
        if self._classifier is None:
            self._classifier = ImageClassifier(self.config.preprocess(), self.model()).eval()
        return self._classifier

    def predict(self, files: Sequence[str | Path]) -> list[Prediction]:
        """The class of each image file; one that cannot be read gets an error, not a stop."""
        return [self._predict(Path(file)) for file in files]

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        max_broken: float = 0.05,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Evaluation for labelled images: `data`, or the test split that was held out.

        Raises:
            DataError: the data cannot be used, or its classes are not those of the run.
        """
        if data is None:
            split = self._test_split()
        else:
            opened = open_test(
                data, self.config.classes, max_broken=max_broken, reading=self.config.reading
            )
            for line in (*opened.scan.notes, *opened.scan.warnings()):
                (progress or Silent()).say(line)
            split = opened.splits["test"]
        return answer(self.classifier(), split, progress=progress)

    def export(self, format: str = "onnx", path: str | Path | None = None) -> tuple[Path, Proof]:
        """A deployable file, proved against the network on the run's own test images.

        Raises:
            UsageError: no such format.
            ExportError: the file answers differently.
        """
        if format not in FORMATS:
            raise UsageError(
                f"export: no format '{format}'{nearest(format, FORMATS)}; there is {FORMATS[0]}"
            )
        target = Path(path) if path is not None else self.path / FILE_NAMES["onnx"]
        sample = sample_images(self._test_split())
        return target, export_proved(self.classifier(), self.config, target, sample)

    def summary(self) -> dict[str, Any]:
        """The keys of `fit --json`."""
        config = self.config
        record = ("model", "options", "params", "macs", "latency_s", "accuracy", "status")
        return {
            "run": str(self.path),
            "model": config.model,
            "task": config.task,
            "weights": config.weights,
            "options": config.options,
            "input": list(config.input),
            "budget": config.budget.model_dump(),
            "params": config.params,
            "macs": config.macs,
            "activation_bytes": config.activation_bytes,
            "peak_bytes": config.peak_bytes,
            "latency_s": config.latency_s,
            "file_bytes": config.file_bytes,
            "accuracy": config.accuracy,
            "warnings": self.warnings,
            "proof": config.proof.model_dump() if config.proof else None,
            "leaderboard": [
                {key: getattr(entry, key) for key in (*record, "size", "reason")}
                for entry in config.leaderboard
            ],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }

    def _test_split(self) -> Split:
        return load_split(self.path / FILE_NAMES["split"]).splits["test"]

    def _predict(self, file: Path) -> Prediction:
        try:
            image = read_image(file, self.config.channels, self.config.reading)
        except DataError as error:
            return Prediction(shown(file), None, None, None, str(error))
        (row,) = self.classifier().predict([height_width_channels(image)])
        best = int(torch.argmax(row))
        named = dict(zip(self.config.classes, row.tolist(), strict=True))
        return Prediction(shown(file), self.config.classes[best], float(row[best]), named)


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises:
        DataError: it holds no run.
    """
    return Run(Path(path), RunConfig.load(Path(path)))
