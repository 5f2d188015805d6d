"""What `train` was asked for, as it lies beside the checkpoints so that the run can go on."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from convatlas.errors import DataError, UsageError
from convatlas.pipeline.job_file import (
    UNREADABLE,
    job_file,
    placed,
    stored_job,
    unreadable,
    write_job,
)
from convatlas.text import printable, true_name
from convatlas.train.checkpoints import EVERY_S
from convatlas.train.recipe_file import NamedRecipe

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
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        named |= {"recipe": self.recipe.to_dict(), "data": placed(self.data)}
        if self.teacher is not None:
            named["teacher"] = placed(self.teacher)
        write_job(folder, TRAIN, named)


def read_job(folder: Path) -> TrainJob:
    """Read what was asked for, from a run or from where one is built.

    Raises:
        DataError: it is not there, or says what cannot be.
    """
    verb, stored = stored_job(folder)
    if verb != TRAIN:
        raise DataError(f"{printable(job_file(folder))}: a run of '{verb}' cannot go on")
    try:
        job = TrainJob(**{**stored, "recipe": NamedRecipe.from_dict(stored["recipe"])})
        names = {"data": true_name(job.data), "teacher": job.teacher and true_name(job.teacher)}
        return replace(job, **names)
    except UNREADABLE as error:
        if isinstance(error, DataError | UsageError):
            raise
        raise unreadable(folder, error) from None
