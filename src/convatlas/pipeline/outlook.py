"""What a job knows of its candidates before it trains them: recorded curves, and its own time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from convatlas.pipeline.extent import TIME_ONLY, Extent
from convatlas.search.halving import FINAL_SHARE
from convatlas.search.known_curves import Expected, KnownCurves, known_curves
from convatlas.search.space import Candidate
from convatlas.train.device import training_device

MORE_THREADS = 0.8  # training gets faster by this power of the threads
ACCELERATOR = 30.0  # times as fast as one core, guessed: what matters is measured later
WINNER_SHARE = FINAL_SHARE + 0.15  # of the time for training: the rounds before count as well
PLACES_S = 16.0  # 2 places in 64 s, 4 in 256 s, 8 in 1024 s
MIN_PLACES, MAX_PLACES = 2, 8
UNTIMED_PLACES = 4


@dataclass(frozen=True)
class Outlook:
    """Recorded curves that suit the data, and how far this job will get on them.

    Args:
        examples: training examples of the data.
        seconds: that training may take, all candidates together.
    """

    known: KnownCurves
    examples: int
    seconds: float
    extent: Extent = TIME_ONLY

    def places(self) -> int:
        """Return how many take part: the longer the job, the more."""
        most = self.extent.trials or MAX_PLACES
        if not self.extent.timed:
            return min(most, UNTIMED_PLACES)
        return min(most, self._places_in_time())

    def _places_in_time(self) -> int:
        return int(min(MAX_PLACES, max(MIN_PLACES, math.sqrt(self.seconds / PLACES_S))))

    def images(self, expected: Expected) -> float:
        """Return the training examples that a winner would see, where nothing was measured."""
        if self.extent.epochs is not None and not self.extent.timed:
            return self.extent.epochs * self.examples
        on_cpu = training_device().type == "cpu"
        cores = torch.get_num_threads() ** MORE_THREADS if on_cpu else ACCELERATOR
        return WINNER_SHARE * self.seconds * cores / expected.seconds

    def within(self, epoch_seconds: float) -> float:
        """Return the same for one whose pass over the examples was measured; 0 for infinite."""
        seen = WINNER_SHARE * self.seconds / epoch_seconds
        return self.examples * min(seen, self.extent.epochs or math.inf)

    def likely_error(self, name: str, macs: float) -> float | None:
        """Return the error expected of a network at the end; None where it was not recorded."""
        if not self.known.knows(name):
            return None
        expected = self.known.expect(name, macs)
        return expected.error(self.images(expected))


def outlook(
    tasks: Sequence[str],
    candidates: Iterable[Candidate],
    examples: int,
    seconds: float,
    extent: Extent = TIME_ONLY,
) -> Outlook | None:
    """Return what is known of these candidates; None where nothing was recorded for such data.

    Args:
        tasks: the one at hand, and those whose networks it borrows: the first with records counts.
    """
    listed = list(candidates)
    found = (known_curves(task, listed) for task in tasks)
    known = next((curves for curves in found if curves is not None), None)
    return None if known is None else Outlook(known, examples, seconds, extent)
