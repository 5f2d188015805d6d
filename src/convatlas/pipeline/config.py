"""What a run folder says about itself: `run.json`, checked when written and when read."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import convatlas
from convatlas.data import Preprocess
from convatlas.data.stored_reading import PLAIN, Reading
from convatlas.deploy.proof import Proof
from convatlas.errors import DataError
from convatlas.explain.score import Score
from convatlas.replacing import replacing
from convatlas.search.budget import Budget
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


STEPS = ("test", "export", "report")  # after training
DONE = "done"


Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Side = Annotated[int, Field(ge=1, le=8192)]  # pixels of a network's input: more is no network's


class Trial(BaseModel):
    """One line of the leaderboard: a candidate, what it costs and what became of it."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: str
    options: dict[str, Any]
    size: int
    params: int | None = None
    macs: int | None = None
    peak_bytes: int | None = None
    latency_s: float | None = None
    file_bytes: int | None = None
    accuracy: float | None = None
    validated: int | None = None  # images that gave its accuracy; None in older runs: all
    epochs: float = 0.0
    kept_epoch: float | None = None  # after which the weights that are kept were validated
    seconds: float = 0.0
    status: str = "waiting"
    reason: str = ""


class RunConfig(BaseModel):
    """Everything needed to use the run again: network, pre-processing, classes, figures."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    version: str
    created: str
    task: str
    source: str
    seed: int
    classes: Annotated[list[str], Field(min_length=2)]
    model: str
    options: dict[str, Any]
    channels: Literal[1, 3]
    size: Side
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    crop: Annotated[float, Field(gt=0, le=1)] | None = None
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    reading: Reading = PLAIN  # of image files
    weights: str | None = None  # public ones that training started from
    weights_licence: str | None = None
    call: dict[str, Any] = {}  # other arguments of `fit` that were given; older runs noted none
    budget: Budget
    recipe: dict[str, Any]
    counts: dict[str, Count]
    params: Count
    macs: Count
    activation_bytes: Count
    peak_bytes: Count
    latency_s: Seconds
    threads: Annotated[int, Field(ge=1, le=4096)]
    file_bytes: Count | None = None
    accuracy: Share | None = None
    val_accuracy: Share | None = None
    test: Score | None = None  # older runs noted the accuracy only
    finished: str = "yes"
    steps: dict[str, str] = {}  # after training: "done", or why not; older runs noted none
    written: list[str] | None = None  # files and folders of this run; older runs noted none
    proof: Proof | None = None
    leaderboard: list[Trial] = []

    @model_validator(mode="after")
    def _agrees(self) -> "RunConfig":
        """What stands there twice must be the same, and no newer version may have written it."""
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: one stands there twice")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std must have {self.channels} values")
        expected = {"num_classes": len(self.classes), "in_channels": self.channels}
        for option, value in expected.items():
            if self.options.get(option, value) != value:
                raise ValueError(f"options: {option} is {self.options[option]}, not {value}")
        if _newer(self.version, convatlas.__version__):
            raise ValueError(
                f"made by convatlas {self.version}, newer than this {convatlas.__version__}"
            )
        return self

    @property
    def input(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's input."""
        return (self.channels, self.size, self.size)

    def preprocess(self) -> Preprocess:
        """The module that makes of 8-bit images what the network takes."""
        return Preprocess(
            self.channels, self.size, self.mean, self.std, crop=self.crop, filter=self.filter
        )

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
