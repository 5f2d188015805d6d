"""The checkpoints of a run: when one is written, and which are kept."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from convatlas.errors import WriteError
from convatlas.train.checkpoint import (
    UNFINISHED,
    Checkpoint,
    DamagedCheckpoint,
    read_checkpoint,
    write_checkpoint,
)

EVERY_S = 300.0  # between two, within an epoch
MAX_COST = 0.02  # of the time may go into writing them
KEPT = 2  # of the last ones, beside that of the best validation
BEST = "best-"  # before the name of the one at the best validation so far


class Pace:
    """How often something is written that takes time: as far as that is a small share of it all.

    Args:
        max_cost: of the time may go into writing.
        expected_s: that it takes to write, before it was measured.
    """

    def __init__(self, max_cost: float = MAX_COST, expected_s: float = 0.0):
        self.max_cost, self._cost_s, self._written = max_cost, expected_s, time.perf_counter()

    def passed(self) -> float:
        """Return the seconds since the last was written."""
        return time.perf_counter() - self._written

    def allows(self) -> bool:
        """Return whether one may be written now."""
        wanted = math.inf if self.max_cost <= 0 else self._cost_s / self.max_cost
        return self.passed() >= wanted

    def wrote(self, start: float) -> None:
        """Take into account that one was written, since `start` by `time.perf_counter()`."""
        self._written = time.perf_counter()
        self._cost_s = self._written - start


class Checkpoints:
    """Writes checkpoints of a run into a folder, and finds the newest one.

    Args:
        folder: theirs; it is made with the first.
        every_s: seconds between two, at most. There is one at each epoch's end as well, as far as
            writing them takes no more than `max_cost` of the time.
        say: takes one finished sentence, where one cannot be written or read.
        expected_s: that the first takes to write: none is written before that is little.

    Attributes:
        failed: whether the last one could not be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float = EVERY_S,
        max_cost: float = MAX_COST,
        say: Callable[[str], None] = lambda text: None,
        expected_s: float = 0.0,
    ):
        self.folder, self.every_s, self._say = folder, every_s, say
        self.failed = False
        self._pace = Pace(max_cost, expected_s)

    def due(self, *, epoch_ends: bool) -> bool:
        """Return whether one is to be written now."""
        return (epoch_ends or self._pace.passed() >= self.every_s) and self._pace.allows()

    def save(
        self, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any], *, best: bool
    ) -> bool:
        """Write the run at a step and let go of older ones; return whether that went well.

        If it does not, that is said once, the older ones stay, and the run goes on.

        Args:
            best: the run was validated just now, and never better.
        """
        start = time.perf_counter()
        path = self.folder / f"{BEST if best else ''}step-{step:09d}"
        try:
            self.folder.mkdir(exist_ok=True)
            write_checkpoint(path, tensors, values)
            self._let_go(best)
        except (WriteError, OSError) as error:
            if not self.failed:
                self._say(f"warning: no checkpoint at step {step:,}: {error}; earlier ones stay")
            self.failed = True
        else:
            self.failed = False
        self._pace.wrote(start)
        return not self.failed

    def newest(self) -> Checkpoint | None:
        """Read the newest that is whole; None where there is none.

        Raises:
            DataError: another version of this package wrote it.
        """
        for path in reversed(self._paths()):
            try:
                return read_checkpoint(path)
            except DamagedCheckpoint as error:
                self._say(f"warning: {error}; the one before it is taken")
        return None

    def _paths(self) -> list[Path]:
        """Return the folders of checkpoints by their steps."""
        return sorted(complete_checkpoints(self.folder), key=_when)

    def _let_go(self, best: bool) -> None:
        paths = self._paths()
        bests = [path for path in paths if path.name.startswith(BEST)]
        kept = {*paths[-KEPT:], *bests[-1:]}
        for path in [each for each in paths if each not in kept]:
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(f"{UNFINISHED}*"):  # of a process that was killed
            shutil.rmtree(path, ignore_errors=True)


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the folders of checkpoints that have their names, in no order."""
    return [path for path in folder.glob("*step-*") if path.name.removeprefix(BEST)[:5] == "step-"]


def _when(path: Path) -> tuple[int, float]:
    """Order checkpoints: by their steps, and of one step by the time of writing."""
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1, path.stat().st_mtime
