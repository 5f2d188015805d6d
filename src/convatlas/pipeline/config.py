"""What a run folder says about itself: `run.json`, checked when written and when read."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import convatlas
from convatlas.deploy.parity import Parity
from convatlas.errors import DataError, UnknownNameError
from convatlas.metric import Metric
from convatlas.pipeline.old_runs import run_of_any_version, trial_of_any_version
from convatlas.replacing import replacing
from convatlas.search.budget import Budget
from convatlas.tasks import find_task
from convatlas.text import printable

FILE_NAMES = {
    "config": "run.json",
    "split": "split.json",
    "scan": "scan.json",
    "log": "log.jsonl",
    "log_csv": "log.csv",
    "weights": "weights.safetensors",
    "onnx": "model.onnx",
    "sample": "sample.safetensors",
    "report": "report.html",
}


FRONT = "front"  # folder of runs, a network of the front each
CHECKPOINTS = "checkpoints"  # folder of a run that is not over
STEPS = ("test", "export", "report")  # after training
DONE = "done"
FEW_VALIDATED = 150  # validation examples: with fewer most differences between networks are chance


Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class FoldNotes(BaseModel):
    """What a metric is where all examples but the test ones were judged, each fold by itself."""

    model_config = ConfigDict(allow_inf_nan=False)

    count: Annotated[int, Field(ge=2)]  # of folds
    items: Count  # that were judged
    mean: float  # over the folds
    standard_error: float  # of the mean
    values: list[float]  # of each fold
    loss: float  # over the folds
    words: str = ""  # what was trained for each fold


class Trial(BaseModel):
    """One line of the leaderboard: a candidate, what it costs and what became of it."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str
    options: dict[str, Any]
    example: dict[str, Any]  # what says how large its input is
    input: str  # the same in words: "32 px"
    params: int | None = None
    macs: int | None = None
    peak_bytes: int | None = None
    memory_bytes: int | None = None  # None in older runs
    latency_s: float | None = None
    throughput: float | None = None  # inputs a second in batches; measured only where it is limited
    file_bytes: int | None = None
    figures: dict[str, float] = {}  # on the validation split; none before any training
    folds: FoldNotes | None = None  # where it was validated by folds as well
    validated: int | None = None  # items that gave its figures; None in older runs: all
    epochs: float = 0.0
    kept_epoch: float | None = None  # after which the weights that are kept were validated
    seconds: float = 0.0
    status: str = "waiting"
    reason: str = ""
    # Where its own run lies within this one, if the front was saved.
    folder: Annotated[str, Field(pattern=rf"^{FRONT}/[\w.-]+$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_any_version(cls, stored: Any) -> Any:
        return trial_of_any_version(stored)

    def value(self, metric: Metric) -> float | None:
        """Return its figure on the validation split; None before any training."""
        return self.figures.get(metric.key)

    def judged(self, metric: Metric) -> float | None:
        """Return what it is ranked by: the mean over the folds, where there are any."""
        return self.folds.mean if self.folds is not None else self.value(metric)


class ResultNotes(BaseModel):
    """What the figures on the test split must be read beside; a task may say more."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    words: str  # the result in one line
    doubts: list[str] = []  # a sentence for each reason not to trust it
    interval: tuple[float, float] | None = None  # of the metric, with 95 % confidence


class RunConfig(BaseModel):
    """Everything needed to use the run again: network, pre-processing, facts of the data, figures.

    Args:
        facts: what network and predictor have to know of the data, as `Dataset.facts` gives it.
        example: what says how large the network's input is, as in `Candidate`.
        input: shape of one input without the batch; a list of shapes where there are several.
        settings: of the predictor, as `Task.predictor` takes them.
        metric: that decided between the networks.
        figures: on the test split; none before the test.
        validation: figures on the validation split.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: str
    created: str
    task: str
    source: str
    seed: int
    facts: dict[str, Any]
    model: str
    options: dict[str, Any]
    example: dict[str, Any]
    input: list[Any]
    settings: dict[str, Any]
    weights: str | None = None  # public ones that training started from
    weights_licence: str | None = None
    call: dict[str, Any] = {}  # other arguments of `fit` that were given; older runs noted none
    budget: Budget
    recipe: dict[str, Any]
    training: dict[str, Any] = {}  # how the task trains beside it; older runs: in the recipe
    counts: dict[str, Count]
    params: Count
    macs: Count
    activation_bytes: Count
    peak_bytes: Count
    memory_bytes: Count | None = None  # older runs noted the peak only
    latency_s: Seconds
    throughput: Annotated[float, Field(gt=0)] | None = None  # where the budget limits it
    threads: Annotated[int, Field(ge=1, le=4096)]
    file_bytes: Count | None = None
    metric: Metric
    figures: dict[str, float] = {}
    validation: dict[str, float] = {}
    test: ResultNotes | None = None  # older runs noted the accuracy only
    finished: str = "yes"
    steps: dict[str, str] = {}  # after training: "done", or why not; older runs noted none
    written: list[str] | None = None  # files and folders of this run; older runs noted none
    proof: Parity | None = None
    leaderboard: list[Trial] = []

    @model_validator(mode="before")
    @classmethod
    def _of_any_version(cls, stored: Any) -> Any:
        return run_of_any_version(stored)

    @model_validator(mode="after")
    def _agrees(self) -> "RunConfig":
        """What stands there twice must be the same, and no newer version may have written it."""
        if _newer(self.version, convatlas.__version__):
            raise ValueError(
                f"made by convatlas {self.version}, newer than this {convatlas.__version__}"
            )
        try:
            find_task(self.task).check(self.facts, self.settings, self)
        except UnknownNameError as error:
            raise ValueError(f"task: {error}") from None
        except ValidationError as error:
            raise ValueError(_first_fault(error)) from None
        return self

    @property
    def value(self) -> float | None:
        """The metric on the test split; None before the test."""
        return self.figures.get(self.metric.key)

    @property
    def folds(self) -> FoldNotes | None:
        """What validation by folds found of the chosen network."""
        return next((t.folds for t in self.leaderboard if t.status == "chosen"), None)

    @property
    def folds_words(self) -> str | None:
        """The same in a line: `91.2 % ± 1.3 points (standard error) ...`."""
        if self.folds is None:
            return None
        error = self.folds.standard_error
        spread = f"{100 * error:.1f} points" if self.metric.is_fraction else f"{error:.2g}"
        return (
            f"{self.metric.text(self.folds.mean)} ± {spread} (mean and standard error of "
            f"{self.folds.count} folds, {self.folds.items:,} {find_task(self.task).items}; "
            f"{self.folds.words})"
        )

    @property
    def input_words(self) -> str:
        """The form of the network's input in words."""
        return find_task(self.task).input_words(self.example)

    def save(self, folder: Path) -> None:
        """Write `run.json` at once, so that a crash leaves the old one or the new one.

        Raises:
            WriteError: it cannot be written.
        """
        with replacing(folder / FILE_NAMES["config"]) as fresh:
            fresh.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RunConfig":
        """Read `run.json`.

        Raises:
            DataError: the folder holds no run, or one that cannot be read.
        """
        path = folder / FILE_NAMES["config"]
        if not path.is_file():
            raise DataError(f"{folder}: no run here (no {path.name}); `convatlas fit` makes one")
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise DataError(
                f"{printable(path)}: not a run that can be used ({_first_fault(error)})"
            ) from None
        except UnicodeDecodeError:
            raise DataError(f"{printable(path)}: not a run that can be used (no UTF-8)") from None
        except OSError as error:
            raise DataError(f"{printable(path)}: cannot be read: {error.strerror}") from None


def _newer(version: str, ours: str) -> bool:
    """Whether a version is above ours in its first two numbers."""
    numbers = [re.findall(r"\d+", text)[:2] for text in (version, ours)]
    theirs, own = ([int(number) for number in found] for found in numbers)
    return theirs > own


def _first_fault(error: ValidationError) -> str:
    """Where the first thing wrong stands, and what it is, in one line."""
    fault = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    words = fault["msg"].removeprefix("Value error, ")
    return " ".join(f"{place}: {words}".removeprefix(": ").split())[:300]
