"""Opening the data of a job: with a bar, and a word where reading them takes much of its time."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.deadline import Deadline
from convatlas.progress import Progress
from convatlas.tasks.task import AnyTask
from convatlas.text import printable

PACE_SECONDS = 2.0  # of checking files, after which its whole time can be told
LONG_READING = 0.4  # of the limit: if checking the files takes so much, it is said beforehand


def open_data(
    task: AnyTask,
    source: str | Path,
    *,
    seed: int,
    max_broken: float,
    options: Mapping[str, Any],
    progress: Progress,
    deadline: Deadline,
) -> Dataset:
    """Open the data for training and say what is in them."""
    bar = progress.bar("checking files", unit="files")
    first: tuple[float, float] | None = None  # done, and when: reading has begun then
    foretold = False

    def update(done: float, total: float | None = None) -> None:
        nonlocal first, foretold
        now = time.perf_counter()
        first = first or (done, now)
        if not foretold and total and now - first[1] > PACE_SECONDS and done > first[0]:
            foretold = True
            seconds = (now - first[1]) / (done - first[0]) * total
            if seconds > LONG_READING * deadline.seconds:
                progress.say(
                    f"checking {total:,.0f} files takes about {seconds:.0f} s of the "
                    f"{deadline.seconds:.0f} s limit; the job may take longer than its limit"
                )
        bar.update(done, total)

    data = task.open(source, seed=seed, max_broken=max_broken, options=options, progress=update)
    bar.close()
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in data.splits.items())
    progress.say(f"{printable(data.name)}: {data.summary()}, {sizes}")
    for line in (*data.scan.notes, *data.scan.warnings()):
        progress.say(line)
    return data
