"""A finished run: load it, ask it, test it, export it again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from convatlas.data import ImageData, ScanReport, Split, load_split, open_test, printable
from convatlas.data.stored_reading import chosen_reading
from convatlas.data.stored_split import learnt_from
from convatlas.deploy.classifier import ImageClassifier
from convatlas.deploy.proof import Proof
from convatlas.errors import ConvatlasError, DataError, UsageError, nearest
from convatlas.explain.evaluation import Evaluation
from convatlas.explain.score import close_race
from convatlas.models.registry import find_entry
from convatlas.pipeline.asked import Asked, find_asked
from convatlas.pipeline.config import DONE, FILE_NAMES, RunConfig
from convatlas.pipeline.evaluate_split import answer, sample_images
from convatlas.pipeline.exporting import check_target, export_proved
from convatlas.pipeline.leaderboard import Leaderboard
from convatlas.pipeline.predicting import Prediction, predict_in_batches
from convatlas.pipeline.sample import load_sample
from convatlas.progress import Progress, Silent
from convatlas.tables import html_table
from convatlas.text import format_number, printable_few
from convatlas.train.weights import load_weights

FORMATS = ("onnx",)


class Run:
    """A run folder, opened.

    Args:
        path: the folder.
        config: what its `run.json` says.
    """

    def __init__(self, path: Path, config: RunConfig):
        self.path, self.config = path, config
        self.reading = config.reading  # of files that are not the run's own
        self.stopped: int | None = None  # the signal that ended its training early
        self._classifier: ImageClassifier | None = None

    @property
    def leaderboard(self) -> Leaderboard:
        """Every candidate with its cost, accuracy and outcome; the chosen one first."""
        return Leaderboard(self.config.leaderboard)

    def __repr__(self) -> str:
        return f"Run({printable(self.path)}: {', '.join(value for _, value in self._rows()[1:5])})"

    def __str__(self) -> str:
        return "\n".join(f"{name:11}{value}" for name, value in self._rows())

    def _repr_html_(self) -> str:
        board = self.leaderboard
        inside = (
            f"<details><summary>{len(board)} candidates</summary>{board._repr_html_()}</details>"
        )
        return html_table(self._rows(), ("", "")) + inside

    def _rows(self) -> list[tuple[str, str]]:
        """What is known of the run, for people; what is not known yet is left out."""
        config = self.config
        tested = f"on {config.counts.get('test', 0):,} test images"
        rows = [
            ("run", printable(self.path)),
            ("model", f"{config.model} at {'x'.join(map(str, config.input))}"),
            ("accuracy", "" if config.accuracy is None else f"{config.accuracy:.1%} {tested}"),
            ("params", f"{format_number(config.params)} params"),
            ("macs", f"{format_number(config.macs)} macs"),
            ("latency", "" if config.latency_s is None else format_number(config.latency_s, "s")),
            (
                "file",
                "" if config.file_bytes is None else format_number(config.file_bytes, "bytes"),
            ),
            ("classes", f"{len(config.classes):,}: {printable_few(config.classes, 5)}"),
            ("data", printable(config.source)),
        ]
        return [(name, value) for name, value in rows if value]

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
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return [
                f"{printable(path)}: cannot be read, so what was found in the data is not known"
            ]

    @property
    def doubts(self) -> list[str]:
        """What speaks against trusting the figures, a sentence each."""
        config = self.config
        found = config.test.doubts() if config.test is not None else []
        ranked = sorted(
            (c for c in self.leaderboard if c.accuracy is not None),
            key=lambda c: c.accuracy or 0.0,
            reverse=True,
        )[:2]
        judged = [c.validated or config.counts.get("val", 0) for c in ranked]
        scores = [c.accuracy or 0.0 for c in ranked]
        if len(ranked) > 1 and min(judged) and close_race(scores[0], scores[1], min(judged)):
            found.append(
                f"{min(judged):,} validation images cannot tell the first networks apart: "
                f"{scores[0]:.1%} and {scores[1]:.1%} lie within each other's 95 % interval"
            )
        return found

    def model(self) -> nn.Module:
        """The trained network in evaluation mode: normalised images in, logits out."""
        entry, config = find_entry(self.config.model), self.path / FILE_NAMES["config"]
        try:
            network = entry.build(**self.config.options)
        except ConvatlasError:
            raise
        except Exception as error:  # options of a damaged file can be anything
            raise DataError(
                f"{printable(config)}: {self.config.model} cannot be built with these options "
                f"({error})"
            ) from error
        load_weights(network, self.path / FILE_NAMES["weights"], created=self.config.created)
        return network.eval()

    def classifier(self) -> ImageClassifier:
        """Network and pre-processing as one module: 8-bit images in, probabilities out."""
        if self._classifier is None:
            self._classifier = ImageClassifier(self.config.preprocess(), self.model()).eval()
        return self._classifier

    def predict(self, images: Any, *, progress: Progress | None = None) -> list[Prediction]:
        """The class of each image; one that cannot be read gets an error, not a stop.

        Args:
            images: a path, a folder (searched to the end), a pattern such as `"shots/*.jpg"`, a
                Pillow image, an array (h, w) or (h, w, c), a tensor (h, w) or (c, h, w), a batch
                of these with one more axis in front, or any iterable of them.
            progress: shows how many are done.

        Raises:
            UsageError: `images` is none of these.
        """
        found = find_asked(images, progress)
        # A generator may make more images than memory holds: they are not counted beforehand.
        asked = found if isinstance(images, Iterator) else list(found)
        total = len(asked) if isinstance(asked, list) else None
        bar = (progress or Silent()).bar("predicting", total, unit="images")
        predictions: list[Prediction] = []
        try:
            for prediction in self._predict(asked):
                predictions.append(prediction)
                bar.update(len(predictions))
        finally:
            bar.close()
        return predictions

    def predict_each(self, images: Any) -> Iterator[Prediction]:
        """Yield what `predict` answers, batch by batch: for more images than memory holds."""
        return self._predict(find_asked(images))

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: str | Path | None = None,
        with_seen: bool = False,
        max_broken: float = 0.05,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Evaluation for labelled images: `data`, or the test split that was held out.

        Args:
            data: labelled images; None takes the run's own test split.
            source: where the data that the run was made from lies now, if it moved.
            with_seen: also count images that the run was trained or validated on.
            max_broken: share of unreadable files that is skipped.

        Raises:
            DataError: the data cannot be used, or its classes are not those of the run.
        """
        if data is None:
            split, found, seen = self._test_split(source), [], 0
        else:
            opened = open_test(
                data, self.config.classes, max_broken=max_broken, reading=self.reading
            )
            found = [*opened.scan.notes, *opened.scan.warnings()]
            split, seen = self._unseen(opened, found, with_seen=with_seen)
            for line in found:
                (progress or Silent()).say(line)
        given = answer(self.classifier(), split, progress=progress)
        return replace(given, warnings=found, seen=seen)

    def _unseen(self, opened: ImageData, found: list[str], *, with_seen: bool) -> tuple[Split, int]:
        """The images that the run did not learn from, told by their pixels; how many it did."""
        split = opened.splits["test"]
        known = learnt_from(self.path / FILE_NAMES["split"])
        if known is None:
            found.append("an older version made this run: which images it learnt from is not known")
            return split, 0
        fresh = [i for i, file in enumerate(split.files) if opened.digests.get(file) not in known]
        seen = len(split) - len(fresh)
        if not seen:
            return split, 0
        if with_seen:
            found.append(f"{seen:,} of the {len(split):,} images were used to train this run")
            return split, seen
        if not fresh:
            raise DataError(
                f"{printable(opened.source)}: all {seen:,} images were used to train this run, "
                "so they tell nothing of new ones; --with-seen counts them all the same"
            )
        found.append(
            f"left out {seen:,} of {len(split):,} images, which were used to train this run; "
            "--with-seen counts them as well"
        )
        return split.subset(fresh), seen

    def export(
        self,
        format: str = "onnx",
        path: str | Path | None = None,
        *,
        source: str | Path | None = None,
    ) -> tuple[Path, Proof]:
        """A deployable file, proved against the network on the run's own test images.

        Where these are not at hand, a few that the run kept take their place.

        Args:
            path: where to write it; None writes into the run folder.
            source: where the data that the run was made from lies now, if it moved.

        Raises:
            UsageError: no such format, or a path that holds something else.
            ExportError: the file answers differently.
        """
        if format not in FORMATS:
            raise UsageError(
                f"export: no format '{format}'{nearest(format, FORMATS)}; there is {FORMATS[0]}"
            )
        own = self.path / FILE_NAMES["onnx"]
        target = Path(path) if path is not None else own
        written = self.config.written
        check_target(
            target, own, of_the_run=target == own and written is not None and own.name in written
        )
        proof = export_proved(self.classifier(), self.config, target, self._sample(source))
        if target.resolve() == own.resolve():
            self.note_export(own, proof)
            self.config.save(self.path)
        return target, proof

    def note_export(self, path: Path, proof: Proof) -> None:
        """Let the config say what the run's own exported file is; it is not saved yet."""
        self.config.proof, self.config.file_bytes = proof, path.stat().st_size
        for record in self.config.leaderboard:
            if record.status == "chosen":
                record.file_bytes = self.config.file_bytes
        self.config.steps["export"] = DONE
        self.note_written("onnx")

    def note_written(self, kind: str) -> None:
        """Let the config say that a file of the folder is the run's own; it is not saved yet."""
        names = {*(self.config.written or FILE_NAMES.values()), FILE_NAMES[kind]}
        self.config.written = sorted(names)

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
            "interval": list(config.test.interval) if config.test else None,
            "test": config.test.model_dump() if config.test else None,
            "warnings": [*self.warnings, *self.doubts],
            "finished": config.finished,
            "steps": config.steps,
            "proof": config.proof.model_dump() if config.proof else None,
            "leaderboard": [
                {key: getattr(entry, key) for key in (*record, "size", "validated", "reason")}
                for entry in config.leaderboard
            ],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }

    def _test_split(self, source: str | Path | None = None) -> Split:
        path = self.path / FILE_NAMES["split"]
        images = load_split(path, source)
        if list(images.classes) != self.config.classes:
            raise DataError(f"{printable(path)}: has other classes than the run.json beside it")
        if not images.splits.get("test"):
            raise DataError(f"{printable(path)}: names no test images")
        return images.splits["test"]

    def _sample(self, source: str | Path | None) -> list[Tensor]:
        """Images to prove an export on: of the test split, or else those that the run kept."""
        try:
            return sample_images(self._test_split(source))
        except DataError:
            if source is not None or "sample" not in self.files:
                raise
            return load_sample(self.path / FILE_NAMES["sample"])

    def _predict(self, asked: Iterable[Asked]) -> Iterator[Prediction]:
        config = self.config
        return predict_in_batches(
            self.classifier, asked, config.classes, config.channels, self.reading
        )


def open_run(path: str | Path, *, max_pixels: float | None = None) -> Run:
    """Open a run folder.

    Args:
        max_pixels: of an image that the run is asked about; None takes the run's own limit.

    Raises:
        DataError: it holds no run.
        UsageError: no such limit can be.
    """
    run = Run(Path(path), RunConfig.load(Path(path)))
    if max_pixels is not None:
        limit = {"max_pixels": chosen_reading(max_pixels).max_pixels}
        run.reading = run.reading.model_copy(update=limit)
    return run
