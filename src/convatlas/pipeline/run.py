"""A finished run: load it, ask it, test it, export it again."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from convatlas.cost import Cost, count
from convatlas.data.dataset import Dataset
from convatlas.data.scan_report import ScanReport
from convatlas.deploy.parity import Parity
from convatlas.deploy.predictor import Item, Predictor
from convatlas.errors import ConvatlasError, DataError, UsageError, nearest
from convatlas.models.registry import find_entry
from convatlas.pipeline.config import DONE, FILE_NAMES, RunConfig
from convatlas.pipeline.doubtful_ranking import doubtful_ranking
from convatlas.pipeline.exporting import check_target, export_proved
from convatlas.pipeline.folder import can_go_on
from convatlas.pipeline.front import front_of
from convatlas.pipeline.leaderboard import Leaderboard
from convatlas.pipeline.sample import load_sample
from convatlas.pipeline.unseen import unseen_part
from convatlas.progress import Progress, Silent
from convatlas.search.space import Candidate
from convatlas.tables import html_table
from convatlas.tasks import find_task
from convatlas.tasks.answers import Evaluation, Prediction
from convatlas.text import format_number, printable, shape_text
from convatlas.train.weights import load_weights

FORMATS = ("onnx",)
SAMPLE = 1000  # inputs that an export is compared on


class Run:
    """A run folder, opened.

    Args:
        path: the folder.
        config: what its `run.json` says.

    Attributes:
        task: what the network is for.
        facts: of the data, and how files are answered.
        stopped: the signal that ended its training early.
    """

    def __init__(self, path: Path, config: RunConfig):
        self.path, self.config = path, config
        self.task = find_task(config.task)
        self.facts = self.task.facts_for_answers(config.facts, config.validation)
        self.stopped: int | None = None
        self._predictor: Predictor | None = None

    @property
    def leaderboard(self) -> Leaderboard:
        """Every candidate with its cost, figures and outcome; the chosen one first."""
        return Leaderboard(self.config.leaderboard, self.config.metric)

    def pareto(self) -> Leaderboard:
        """Return the trials that no other beats in metric, multiply-adds and params.

        The best metric first; the metric is that of the validation split, after however long each
        was trained. A cheaper network that dropped out early could do better with more training.
        """
        return Leaderboard(
            front_of(self.config.leaderboard, self.config.metric), self.config.metric
        )

    @property
    def front(self) -> list[Path]:
        """The run folders of `pareto()`, in its order: this one, and those that were saved.

        `fit(save_front=True)` saves them; each opens with `open_run` and is tested and exported by
        `convatlas report`.
        """
        rows = [("" if t.status == "chosen" else t.folder) for t in self.pareto()]
        paths = [self.path / row for row in rows if row is not None]
        return [path for path in paths if (path / FILE_NAMES["config"]).is_file()]

    def __repr__(self) -> str:
        return f"Run({printable(self.path)}: {', '.join(value for _, value in self._rows()[1:5])})"

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows) + 2
        return "\n".join(f"{name:{width}}{value}" for name, value in rows)

    def _repr_html_(self) -> str:
        board = self.leaderboard
        inside = (
            f"<details><summary>{len(board)} candidates</summary>{board._repr_html_()}</details>"
        )
        return html_table(self._rows(), ("", "")) + inside

    def _rows(self) -> list[tuple[str, str]]:
        """What is known of the run, for people; what is not known yet is left out."""
        config, metric, value = self.config, self.config.metric, self.config.value
        size = "" if config.file_bytes is None else format_number(config.file_bytes, "bytes")
        tested = f"on {config.counts.get('test', 0):,} test {self.task.items}"
        rows = [
            ("run", printable(self.path)),
            ("model", f"{config.model} at {shape_text(config.input)}"),
            (metric.words, "" if value is None else f"{metric.text(value)} {tested}"),
            ("params", f"{format_number(config.params)} params"),
            ("macs", f"{format_number(config.macs)} macs"),
            ("latency", "" if config.latency_s is None else format_number(config.latency_s, "s")),
            ("file", size),
            *self.task.describe_facts(config.facts),
            ("data", printable(config.source)),
        ]
        return [(name, value) for name, value in rows if value]

    @property
    def files(self) -> dict[str, Path]:
        """What the folder holds, by kind."""
        paths = {kind: self.path / name for kind, name in FILE_NAMES.items()}
        return {kind: path for kind, path in paths.items() if path.exists()}

    @property
    def can_go_on(self) -> bool:
        """Whether `resume` can go on with its training, from a checkpoint."""
        return can_go_on(self.path)

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
        found = list(self.config.test.doubts) if self.config.test is not None else []
        return [*found, *doubtful_ranking(self.task, self.config)]

    def model(self) -> nn.Module:
        """Return the trained network in evaluation mode, without what stands around it."""
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

    def predictor(self) -> Predictor:
        """Return pre-processing, network and post-processing as one module, asked and exported."""
        if self._predictor is None:
            config = self.config
            made = self.task.predictor(self.model(), config.settings, config.facts)
            self._predictor = made.eval()
        return self._predictor

    def data(self, source: str | Path | None = None) -> Dataset:
        """Open the data that the run was made from, with its own splits.

        Args:
            source: where they lie now, if they moved.

        Raises:
            DataError: they are gone, or the stored splits are damaged.
        """
        path = self.path / FILE_NAMES["split"]
        data = self.task.reopen(path, source, self.config.facts)
        if not data.splits.get("test"):
            raise DataError(f"{printable(path)}: names no test {self.task.items}")
        return data

    def cost(self, batch: int = 1) -> Cost:
        """Count the network again, layer by layer."""
        config, network = self.config, self.predictor().network
        candidate = Candidate(config.model, config.options, config.example)
        return count(network, candidate.inputs(network, batch))

    def predict(self, asked: Any, *, progress: Progress | None = None) -> list[Prediction]:
        """Answer each input; one that cannot be read gets an error, not a stop.

        Args:
            asked: of images a path, a folder (searched to the end), a pattern such as
                `"shots/*.jpg"`, a Pillow image, an array (h, w) or (h, w, c), a tensor (h, w) or
                (c, h, w), a batch of these with one more axis in front, or any iterable of them.
                Other tasks take what suits them: of sounds a waveform, alone or in a pair with its
                rate.
            progress: shows how many are done.

        Raises:
            UsageError: `asked` is none of these.
        """
        progress = progress or Silent()
        total, answers = self.task.predict(self.predictor, asked, self.facts, progress)
        bar = progress.bar("predicting", total, unit=self.task.items)
        predictions: list[Prediction] = []
        try:
            for prediction in answers:
                predictions.append(prediction)
                bar.update(len(predictions))
        finally:
            bar.close()
        return predictions

    def predict_each(self, asked: Any) -> Iterator[Prediction]:
        """Yield what `predict` answers, batch by batch: for more inputs than memory holds."""
        return self.task.predict(self.predictor, asked, self.facts, Silent())[1]

    def evaluate(
        self,
        data: str | Path | None = None,
        *,
        source: str | Path | None = None,
        with_seen: bool = False,
        max_broken: float = 0.05,
        crops: int = 1,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Test the run on labelled data: `data`, or the test split that was held out.

        Args:
            data: labelled, as for `fit`; None takes the run's own test split.
            source: where the data that the run was made from lies now, if it moved.
            with_seen: also count what the run was trained or validated on.
            max_broken: share of unreadable files that is skipped.
            crops: 10 asks about four corners, the middle and all five mirrored, as papers do, and
                takes the mean; an image of a class only.

        Raises:
            DataError: the data cannot be used, or its answers are not those of the run.
            UsageError: crops of what has none.
        """
        progress, predictor = progress or Silent(), self.predictor()
        if crops != 1:
            predictor = self.task.by_crops(predictor, crops)
        if data is None:
            split, found, seen = self.data(source).splits["test"], [], 0
        else:
            bar = progress.bar("checking files", unit="files")
            opened = self.task.open_test(
                data, self.facts, max_broken=max_broken, progress=bar.update
            )
            bar.close()
            found = [*opened.scan.notes, *opened.scan.warnings()]
            known = self.task.learnt_from(self.path / FILE_NAMES["split"])
            split, seen = unseen_part(self.task, opened, known, found, with_seen=with_seen)
            for line in found:
                progress.say(line)
        judged = self.task.evaluate(predictor, split, self.facts, progress)
        judged = self.task.judged_by(judged, self.config.metric)
        return judged.with_findings(found, seen)

    def export(
        self,
        format: str = "onnx",
        path: str | Path | None = None,
        *,
        source: str | Path | None = None,
    ) -> tuple[Path, Parity]:
        """Write a deployable file, compared with the network on the run's own test data.

        Where these are not at hand, a few inputs that the run kept take their place.

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
        parity = export_proved(self.predictor(), self.config, target, self._sample(source))
        if target.resolve() == own.resolve():
            self.note_export(own, parity)
            self.config.save(self.path)
        return target, parity

    def note_export(self, path: Path, parity: Parity) -> None:
        """Let the config say what the run's own exported file is; it is not saved yet."""
        self.config.proof, self.config.file_bytes = parity, path.stat().st_size
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
        """Return the keys of `fit --json`."""
        config = self.config
        test = config.test.model_dump(mode="json") if config.test else None
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
            "memory_bytes": config.memory_bytes,
            "latency_s": config.latency_s,
            "throughput": config.throughput,
            "file_bytes": config.file_bytes,
            "metric": config.metric.key,
            config.metric.key: config.value,
            "figures": config.figures,
            "interval": list(config.test.interval)
            if config.test and config.test.interval
            else None,
            "test": test,
            "folds": config.folds.model_dump() if config.folds else None,
            "warnings": [*self.warnings, *self.doubts],
            "finished": config.finished,
            "steps": config.steps,
            "proof": config.proof.model_dump() if config.proof else None,
            "leaderboard": self.leaderboard.to_dicts(),
            "pareto": self.pareto().to_dicts(),
            "front": [str(path) for path in self.front],
            "files": {kind: str(path) for kind, path in self.files.items()},
        }

    def _sample(self, source: str | Path | None) -> Sequence[Item]:
        """Inputs to compare an export on: of the test split, or else those that the run kept."""
        try:
            return self.task.sample(self.data(source).splits["test"], SAMPLE)
        except DataError:
            if source is not None or "sample" not in self.files:
                raise
            return load_sample(self.path / FILE_NAMES["sample"])


def open_run(path: str | Path, **options: Any) -> Run:
    """Open a run folder.

    Args:
        options: for reading and answering files otherwise than the run did, such as `max_pixels`
            of an image that it is asked about, or the `score` from which a box is shown; None takes
            the run's own.

    Raises:
        DataError: it holds no run.
        UsageError: no such option can be.
    """
    run = Run(Path(path), RunConfig.load(Path(path)))
    run.facts = run.task.with_options(run.facts, options)
    return run
