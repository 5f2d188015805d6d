"""A second task, made for the tests: from a signal to its frequency, where less error is better.

Other input (one axis, a folder of arrays with a table of answers), another answer (a number),
another metric. It is wired here and nowhere else: no file of the package knows it.
"""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from markupsafe import Markup, escape
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from convatlas.data.scan_report import ScanReport
from convatlas.deploy.predictor import Agreement, Predictor
from convatlas.errors import DataError, UsageError
from convatlas.metric import Metric
from convatlas.search.space import width_sweeps
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.task import Task

TABLE = "answers.csv"
LENGTH = 48
ERROR = Metric("mae_hz", "mean error", "Hz", higher_is_better=False)


def make_signals(folder: Path, count: int = 240, *, first: int = 0) -> Path:
    """Sines of 2 to 9 Hz over a second, with noise; the table says the frequency of each."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(first)
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.writer(file)
        for number in range(first, first + count):
            hz, phase = random.uniform(2, 9), random.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * hz * np.arange(LENGTH) / LENGTH + phase)
            wave += random.normal(0, 0.1, LENGTH)
            np.save(folder / f"{number:04d}.npy", wave.astype(np.float32))
            writer.writerow([f"{number:04d}.npy", f"{hz:.4f}"])
    return folder


class SignalNet(nn.Module):
    """Two convolutions along time."""

    def __init__(self, width: float = 1.0, in_channels: int = 1):
        super().__init__()
        channels = max(4, round(16 * width))
        self.body = nn.Sequential(
            nn.Conv1d(in_channels, channels, 9, padding=4),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(x))[:, 0]

    def example(self, batch: int = 1, length: int = LENGTH) -> tuple[Tensor]:
        return (torch.rand(batch, 1, length),)


@dataclass(frozen=True, eq=False)
class Signals:
    files: list[str]
    answers: list[float]
    root: Path

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Tensor:
        return read_signal(self.root / self.files[index])

    def subset(self, indices):
        rows = list(indices)
        return replace(
            self, files=[self.files[i] for i in rows], answers=[self.answers[i] for i in rows]
        )


def read_signal(path: Path) -> Tensor:
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no signal can be read ({error})") from error


@dataclass(frozen=True, eq=False)
class SignalData:
    name: str
    source: str
    seed: int
    splits: dict[str, Signals]
    scan: ScanReport
    digests: dict[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        return {"length": len(self.splits["test"].read(0))}

    def summary(self) -> str:
        return f"signals of {self.facts()['length']} samples"

    def save(self, path: Path) -> None:
        splits = {
            name: {
                "files": split.files,
                "answers": split.answers,
                "digests": [self.digests.get(file, "") for file in split.files],
            }
            for name, split in self.splits.items()
        }
        stored = {"name": self.name, "source": self.source, "seed": self.seed, "splits": splits}
        path.write_text(json.dumps(stored | {"scan": self.scan.to_dict()}))


def open_signals(source: Path, seed: int, shares: dict[str, float], progress) -> SignalData:
    rows = list(csv.reader((source / TABLE).read_text().splitlines()))
    order = np.random.default_rng(seed).permutation(len(rows))
    digests = {}
    for done, (file, _) in enumerate(rows, start=1):
        digests[file] = hashlib.sha256(read_signal(source / file).numpy().tobytes()).hexdigest()
        progress(done, len(rows))
    splits, start = {}, 0
    for name, share in shares.items():
        count = round(share * len(rows))
        picked = [rows[i] for i in order[start : start + count]]
        splits[name] = Signals([r[0] for r in picked], [float(r[1]) for r in picked], source)
        start += count
    scan = ScanReport(total=len(rows), readable=len(rows))
    return SignalData(source.name, str(source.resolve()), seed, splits, scan, digests)


class FrequencyPredictor(Predictor):
    """From samples of any length to a frequency in Hz."""

    inputs = MappingProxyType({"signal": {0: "n", 1: "t"}})
    outputs = ("frequency",)
    items = "signals"
    decision = "the same frequency"
    usage = "input `signal`: float32 (n, samples), any length; output `frequency` in Hz"

    def __init__(self, network: nn.Module, mean: float, std: float, length: int):
        super().__init__()
        self.network, self.mean, self.std, self.length = network, mean, std, length
        self.metadata = {"unit": "Hz"}

    def forward(self, signal: Tensor) -> Tensor:
        return self.network(signal[:, None]) * self.std + self.mean

    def example(self, batch: int = 2) -> tuple[Tensor]:
        return (torch.rand(batch, self.length),)

    def compare(self, expected, answered, tolerance) -> Agreement:
        difference = (expected - answered).abs()
        return Agreement(float((difference <= tolerance).float().mean()), float(difference.max()))


class Regress:
    """Squared error on standardised answers."""

    metric = ERROR

    def __init__(self, train: Signals, validate: Signals, mean: float, std: float):
        self._train, self._validate = train, validate
        self._mean, self._std = mean, std

    def loaders(self, batch_size: int, seed: int):
        order = torch.Generator().manual_seed(seed)
        train, validate = (self._tensors(split) for split in (self._train, self._validate))
        return DataLoader(train, batch_size, True, generator=order), DataLoader(validate, 64)

    def _tensors(self, split: Signals) -> TensorDataset:
        signals = torch.stack([split.read(i) for i in range(len(split))])
        return TensorDataset(signals[:, None], torch.tensor(split.answers, dtype=torch.float32))

    def loss(self, model, batch):
        signals, answers = batch
        return (model(signals) - (answers - self._mean) / self._std).square().mean()

    @torch.no_grad()
    def validate(self, model, loader, gather):
        model.eval()
        errors = torch.cat([(model(x) * self._std + self._mean - y).abs() for x, y in loader])
        return {"val_loss": float(errors.square().mean()), "val_mae_hz": float(errors.mean())}


class SignalTrials:
    def __init__(self, data: SignalData, progress):
        self.data, self.progress = data, progress
        answers = torch.tensor(data.splits["train"].answers)
        self._settings = {"mean": float(answers.mean()), "std": float(answers.std())}

    def training_options(self):
        return {}

    def settings(self, candidate):
        return dict(self._settings)

    def read(self, candidate):
        pass

    def is_read(self, candidate):
        return True

    def all_read(self):
        pass

    def keep(self, candidates):
        assert list(candidates)

    def training(self, candidate, recipe, judged):
        validate = self.data.splits["val"].subset(range(judged or len(self.data.splits["val"])))
        return Regress(self.data.splits["train"], validate, **self._settings)


@dataclass(frozen=True, eq=False)
class Errors:
    answers: Tensor
    given: Tensor
    files: list[str]
    warnings: tuple = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.files)

    @property
    def figures(self):
        return {"mae_hz": float((self.answers - self.given).abs().mean())}

    def with_findings(self, warnings, seen):
        return replace(self, warnings=tuple(warnings), seen=seen)

    def record(self):
        return {"words": f"{ERROR.text(self.figures['mae_hz'])} on {len(self)} signals"}

    def to_dict(self):
        return {"signals": len(self), "largest_hz": float((self.answers - self.given).abs().max())}

    def table(self):
        rows = zip(self.files, self.answers.tolist(), self.given.tolist(), strict=True)
        return ("signal", "true", "given"), [(f, f"{a:.2f}", f"{g:.2f}") for f, a, g in rows], ()

    def lines(self):
        return [f"mean error {self.record()['words']}"]


@dataclass(frozen=True)
class Frequency:
    file: str
    hz: float | None
    error: str | None = None

    def cells(self, top):
        return ["" if self.hz is None else f"{self.hz:.3f}"]

    def rows(self, top):
        return [(self.file, None if self.hz is None else f"{self.hz:.2f} Hz")]


class Frequencies(Task[SignalData, Errors]):
    """Name the frequency of a signal."""

    name = "frequency"
    metric = ERROR
    items = "signals"
    layouts = (f"a folder with {TABLE} and one .npy file a signal",)
    columns = ("file", "frequency")
    next = "signal.npy"
    asking = "Name the frequency of new signals"

    def takes(self, source):
        return (Path(source) / TABLE).is_file()

    def check_options(self, options):
        if options:
            raise UsageError(f"signals have no option {', '.join(options)}")

    def open(self, source, *, seed, max_broken, options, progress):
        return open_signals(Path(source), seed, {"train": 0.6, "val": 0.2, "test": 0.2}, progress)

    def open_test(self, source, facts, *, max_broken, progress):
        return open_signals(Path(source), 0, {"test": 1.0}, progress)

    def reopen(self, stored, source, facts):
        content = json.loads(stored.read_text())
        root = Path(source or content["source"])
        splits = {
            name: Signals(part["files"], part["answers"], root)
            for name, part in content["splits"].items()
        }
        scan = ScanReport.from_dict(content["scan"])
        return SignalData(content["name"], content["source"], content["seed"], splits, scan)

    def learnt_from(self, stored):
        splits = json.loads(stored.read_text())["splits"]
        return {each for name in ("train", "val") for each in splits[name]["digests"]}

    def with_options(self, facts, options):
        self.check_options({key: each for key, each in options.items() if each is not None})
        return dict(facts)

    def check(self, facts, settings, run):
        if not facts.get("length", 0) > 0:
            raise ValueError("length: must be above 0")

    def fresh(self, entries, data, *, fixed_width):
        forms = [({"length": length}, {}) for length in (LENGTH, LENGTH // 2)]
        return {
            e.name: width_sweeps(e, options={}, forms=forms, fixed_width=fixed_width)
            for e in entries
        }

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for signals")

    def input_words(self, example):
        return f"{example['length']} samples"

    def trial_data(self, data, recipe, options, progress):
        return SignalTrials(data, progress)

    def settings(self, candidate, facts):
        return {"mean": 5.0, "std": 2.0}

    def predictor(self, network, settings, facts):
        return FrequencyPredictor(network, settings["mean"], settings["std"], facts["length"])

    def sample(self, split, count):
        return [split.read(i) for i in range(min(count, len(split)))]

    def predict(self, predictor, asked, facts, progress):
        files = [asked] if isinstance(asked, str | Path) else list(asked)
        return len(files), (self._answer(predictor, Path(file)) for file in files)

    def _answer(self, predictor: Callable[[], Predictor], file: Path) -> Frequency:
        try:
            return Frequency(str(file), float(predictor().predict([read_signal(file)])[0]))
        except DataError as error:
            return Frequency(str(file), None, str(error))

    def evaluate(self, predictor, split, facts, progress):
        given = predictor.predict(self.sample(split, len(split)))
        return Errors(torch.tensor(split.answers), given, split.files)

    def csv_columns(self, top):
        return ["hz"]

    def describe_settings(self, settings, facts):
        return [("answers", f"mean {settings['mean']:.2f} Hz")]

    def show(self, evaluation, data, scan):
        worst = (evaluation.answers - evaluation.given).abs().argmax()
        section = Section(
            "errors",
            "Errors",
            lambda pictures: Markup("<p>Largest for {}</p>").format(evaluation.files[worst]),
        )
        return ReportContent(
            sentence=evaluation.lines()[0],
            notes=[],
            sections=[section],
            data=escape(f"{len(data.splits['train'])} signals to learn from"),
        )

    def runtime_code(self, path, run):
        return f"import onnxruntime\nsession = onnxruntime.InferenceSession({str(path)!r})\n"
