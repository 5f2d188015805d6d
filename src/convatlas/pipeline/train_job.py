"""What `train` was asked for, as it lies beside the checkpoints so that the run can go on."""

import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from convatlas.errors import DataError, UsageError
from convatlas.pipeline.config import CHECKPOINTS
from convatlas.replacing import replacing
from convatlas.text import printable, stored_name, true_name
from convatlas.train.checkpoints import EVERY_S
from convatlas.train.recipe_file import NamedRecipe

JOB = "job.json"  # in the folder of checkpoints
TRAIN = "train"  # the verb


@dataclass(frozen=True)
class TrainJob:
    """The arguments of `train_one` that decide what is trained, and how."""

    recipe: NamedRecipe
    data: str
    task: str | None = None
    pretrained: bool = False
    teacher: str | None = None
    temperature: float = 4.0
    soft_fraction: float = 0.9
    max_broken: float = 0.05
    device: str = "auto"
    workers: int | None = None
    checkpoint_every_s: float = EVERY_S

    def call(self) -> dict[str, Any]:
        """Return the command as it was given, for the run and its report."""
        recipe = self.recipe
        call: dict[str, Any] = {"verb": TRAIN, "recipe_name": recipe.path or recipe.name}
        call |= {"follows": recipe.source, "set": dict(recipe.changed)}
        further = {"pretrained": self.pretrained or None, "teacher": self.teacher, **self.taught()}
        call |= {name: value for name, value in further.items() if value is not None}
        return call if self.task is None else {**call, "task": self.task}

    def taught(self) -> dict[str, float]:
        """Return how a teacher teaches; nothing without one."""
        if self.teacher is None:
            return {}
        return {"temperature": self.temperature, "soft_fraction": self.soft_fraction}

    def save(self, folder: Path) -> None:
        """Write it beside the checkpoints of a run that is built in a folder.

        Raises:
            WriteError: it cannot be written.
        """
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        named |= {"recipe": self.recipe.to_dict(), "data": _placed(self.data)}
        if self.teacher is not None:
            named["teacher"] = _placed(self.teacher)
        with replacing(job_file(folder)) as fresh:
            fresh.write_text(json.dumps({"verb": TRAIN, **named}, indent=1), encoding="utf-8")


def job_file(folder: Path) -> Path:
    """Return where a run, or a folder that one is built in, says what was asked for."""
    return folder / CHECKPOINTS / JOB


def read_job(folder: Path) -> TrainJob:
    """Read what was asked for, from a run or from where one is built.

    Raises:
        DataError: it is not there, or says what cannot be.
    """
    path = job_file(folder)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        verb = stored.pop("verb")
        if verb != TRAIN:
            raise DataError(f"{printable(path)}: a run of '{verb}' cannot go on")
        job = TrainJob(**{**stored, "recipe": NamedRecipe.from_dict(stored["recipe"])})
        names = {"data": true_name(job.data), "teacher": job.teacher and true_name(job.teacher)}
        return replace(job, **names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError | UsageError):
            raise
        raise DataError(f"{printable(path)}: cannot be read ({error})") from None


def _placed(word: str) -> str:
    """Return a path as it is found from anywhere; what is no path stays."""
    return stored_name(os.path.abspath(word)) if os.path.exists(word) else stored_name(word)
