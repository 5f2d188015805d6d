"""What a run folder says about itself: `run.json`, checked when written and when read."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from convatlas.data import Preprocess
from convatlas.data.stored_reading import PLAIN, Reading
from convatlas.deploy.proof import Proof
from convatlas.errors import DataError
from convatlas.explain.score import Score
from convatlas.replacing import replacing
from convatlas.search.budget import Budget

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


class Contender(BaseModel):
    """One line of the leaderboard: a candidate, what it costs and what became of it."""

    model: str
    options: dict[str, Any]
    size: int
    params: int | None = None
    macs: int | None = None
    peak_bytes: int | None = None
    latency_s: float | None = None
    file_bytes: int | None = None
    accuracy: float | None = None
    epochs: float = 0.0
    kept_epoch: float | None = None  # after which the weights that are kept were validated
    seconds: float = 0.0
    status: str = "waiting"
    reason: str = ""


class RunConfig(BaseModel):
    """Everything needed to use the run again: network, pre-processing, classes, figures."""

    model_config = ConfigDict(extra="forbid")

    version: str
    created: str
    task: str
    source: str
    seed: int
    classes: list[str]
    model: str
    options: dict[str, Any]
    channels: int
    size: int
    mean: list[float]
    std: list[float]
    crop: float | None = None
    filter: Literal["bilinear", "bicubic"] = "bilinear"
    reading: Reading = PLAIN  # of image files
    weights: str | None = None  # public ones that training started from
    weights_licence: str | None = None
    call: dict[str, Any] = {}  # other arguments of `fit` that were given; older runs noted none
    budget: Budget
    recipe: dict[str, Any]
    counts: dict[str, int]
    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int
    latency_s: float
    threads: int
    file_bytes: int | None = None
    accuracy: float | None = None
    val_accuracy: float | None = None
    test: Score | None = None  # older runs noted the accuracy only
    finished: str = "yes"
    steps: dict[str, str] = {}  # after training: "done", or why not; older runs noted none
    written: list[str] | None = None  # files and folders of this run; older runs noted none
    proof: Proof | None = None
    leaderboard: list[Contender] = []

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
        except (ValidationError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[0]
            raise DataError(f"{path}: not a run of this version ({first})") from error
