"""Figures of data before a job: the balance of classes, and what the task knows of its examples."""

from convatlas.data.dataset import Dataset
from convatlas.data.statistics import Statistics, class_balance
from convatlas.errors import UsageError
from convatlas.progress import Progress, Silent
from convatlas.tasks.task import AnyTask


def data_statistics(
    task: AnyTask, data: Dataset, split: str = "train", progress: Progress | None = None
) -> list[Statistics]:
    """Return tables of figures: classes over all splits, everything else of one split.

    Raises:
        DataError: an example cannot be read.
        UsageError: the data have no such split.
    """
    if split not in data.splits:
        raise UsageError(f"data: split must be one of {', '.join(data.splits)}, got '{split}'")
    balance = class_balance(data.scan.per_class)
    bar = (progress or Silent()).bar("reading examples", unit=task.items)
    found = task.statistics(data, split, bar.update)
    bar.close()
    return [*([balance] if balance else []), *found]
