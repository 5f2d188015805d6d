"""The clock of a job: how long it may take, and what is left of that for the work in hand."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

RESERVE_SHARE = 0.3  # of the limit, at most, is kept for what follows training
LONG_RESERVE_S, LONG_RESERVE_SHARE = 25.0, 0.05  # kept at least: whichever is less
# Processor seconds, as measured on two cores of a server; another machine differs.
CLOSING_S = 7.0  # of the last timing, test, proof and report of small photographs
EXPORT_S, EXPORT_LAYER_S = 5.0, 0.04  # of an export: its libraries, and each counted layer
MIN_TRAIN_FRACTION = 0.1  # training gets at least this fraction of the time limit
PROOF_SHARE, PROOF_S = 0.1, 10.0  # for the proof of an export: whichever is less
SPIN_S = 0.2  # processor seconds that tell how busy the machine is; fewer tell mostly chance
SPIN_ROUNDS = 5_000  # of a hash: a few milliseconds
MAX_SPINNING = 8  # threads
MAX_SLOWDOWN = 3.0


def slowdown() -> float:
    """Return how many times longer work takes than on an idle machine, from 1 to 3.

    Other programs that hold the processor cores stretch the wall-clock time of what follows, and
    not its processor time. A thread for each core shows more of that than one alone: the scheduler
    gives each runnable thread about the same, and most work of a job has several.
    """
    cores = min(MAX_SPINNING, os.cpu_count() or 1)
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as threads:
        ends = list(threads.map(_spin, range(cores)))
    return min(MAX_SLOWDOWN, max(1.0, (sum(ends) / cores - start) / SPIN_S))


def _spin(_: int) -> float:
    """Work for `SPIN_S` seconds of this thread's processor time; return when it was done."""
    used = time.thread_time()
    while time.thread_time() - used < SPIN_S:
        hashlib.pbkdf2_hmac("sha256", b"", b"", SPIN_ROUNDS)  # without the interpreter's lock
    return time.perf_counter()


class Deadline:
    """Counts from the start of the job, the loading of libraries included.

    Args:
        seconds: how long everything together may take.
        started: `time.perf_counter()` when the job began; now where not given.
    """

    def __init__(self, seconds: float, started: float | None = None):
        self.seconds = seconds
        self.started = time.perf_counter() if started is None else started
        self.slowdown = 1.0  # of the machine, as far as it was measured
        self.export_s = EXPORT_S  # that the export is expected to take on an idle machine
        self.test_s = 0.0  # that the test is expected to take beyond what is kept for it anyway

    def spent(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.started

    def left(self) -> float:
        """Return the seconds until the end; below 0 when it is past."""
        return self.seconds - self.spent()

    def for_training(self, first: float = 0.0) -> float:
        """Return the seconds that training may take, if other work takes `first` before it."""
        return max(MIN_TRAIN_FRACTION * self.seconds, self.left() - first - self._afterwards())

    def expect_export(self, layers: int) -> None:
        """Keep the time that the export of that many counted layers takes."""
        self.export_s = EXPORT_S + EXPORT_LAYER_S * layers

    def late(self) -> float:
        """Return by how many seconds the job is expected to end late, with training cut short."""
        return self.for_training() + self._closing() + self.test_s - self.left()

    def _closing(self) -> float:
        return (CLOSING_S + self.export_s) * self.slowdown

    def _afterwards(self) -> float:
        least = min(LONG_RESERVE_S, LONG_RESERVE_SHARE * self.seconds) * self.slowdown
        most = RESERVE_SHARE * self.seconds * self.slowdown
        return min(max(self._closing(), least), most) + self.test_s

    def for_proof(self) -> float:
        """Return the seconds that the proof of an export may take."""
        return min(PROOF_S, PROOF_SHARE * self.seconds)
