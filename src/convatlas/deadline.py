"""The clock of a job: how long it may take, and what is left of that for the work in hand."""

import time

RESERVE_S, RESERVE_SHARE = 25.0, 0.3  # kept for test, export and report: whichever is less
LEAST_SHARE = 0.1  # of the limit that training gets in any case
PROOF_SHARE, PROOF_S = 0.1, 10.0  # for the proof of an export: whichever is less


class Deadline:
    """Counts from the start of the job, the loading of libraries included.

    Args:
        seconds: how long everything together may take.
        started: `time.perf_counter()` when the job began; now where not given.
    """

    def __init__(self, seconds: float, started: float | None = None):
        self.seconds = seconds
        self.started = time.perf_counter() if started is None else started

    def spent(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def left(self) -> float:
        """Seconds until the end; below 0 when it is past."""
        return self.seconds - self.spent()

    def for_training(self, first: float = 0.0) -> float:
        """Seconds that training may take, if other work takes `first` before it."""
        reserve = min(RESERVE_S, RESERVE_SHARE * self.seconds)
        return max(LEAST_SHARE * self.seconds, self.left() - first - reserve)

    def for_proof(self) -> float:
        """Seconds that the proof of an export may take."""
        return min(PROOF_S, PROOF_SHARE * self.seconds)
