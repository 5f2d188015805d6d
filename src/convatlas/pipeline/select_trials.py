"""From everything registered to the trials: counted, measured, chosen."""

import math
import time
from collections.abc import Mapping, Sequence

from convatlas.errors import BudgetError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.exporting import exported_bytes
from convatlas.pipeline.extent import TIME_ONLY, Extent
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.outlook import UNTIMED_PLACES, Outlook
from convatlas.pipeline.trials import LiveTrial
from convatlas.pipeline.waiting_trial import waiting_trial
from convatlas.progress import Progress
from convatlas.search.budget import AT_LEAST, Budget
from convatlas.search.costed import (
    CostedCandidate,
    count_candidate,
    count_network,
    nearest_misses,
    not_counted,
)
from convatlas.search.halving import plan_rungs
from convatlas.search.priority import by_priority, estimate
from convatlas.search.shortlist import choose_expected, choose_shortlist
from convatlas.search.space import Candidate
from convatlas.tasks.task import AnyTask

# A file is its weights and a graph of at most some tens of kB: well below the limit it surely fits,
# and only near it the file is really written.
SURELY_FACTOR, SURELY_BYTES = 1.1, 100_000
MIN_PLACES, MAX_PLACES = 3, 12  # a search begins with 3 to 12 trials
SECONDS_A_PLACE = 18
MIN_EPOCHS, MIN_ROUND_STEPS = 0.5, 80  # a shorter first round tells nothing
MIN_ROUND_STEPS_TRANSFER = 25  # the same for weights that were trained before
Sweeps = Mapping[str, Sequence[Sequence[Candidate]]]  # of each network
LIKELY_SHARE = 0.5  # of the speed of a matrix product, that training reaches at its best
UNTIMED_EPOCH_S = 1e-3  # nothing is too slow where there is no limit of time
PROBE_SHARE = 0.1  # of the time, for measuring how fast candidates train


def count_all(
    rows: Sweeps,
    budget: Budget,
    *,
    most_macs: float,
    seconds: float,
    progress: Progress,
    outlook: Outlook | None = None,
    networks: int | None = None,
) -> list[CostedCandidate]:
    """Count the candidates before anything is trained, the most promising first.

    Args:
        rows: by the name of the network, from `Task.fresh` or `Task.pretrained`.
        most_macs: of an input, as `trainable_macs` gives it.
        outlook: what is known of them beforehand.
        networks: counting also ends once this many networks fit.
        seconds: after which the networks whose turn has not come are left uncounted, once one of
            the others fits.
    """
    start = time.perf_counter()
    bar = progress.bar("counting candidates", len(rows), unit="networks")
    counted: list[CostedCandidate] = []
    fitting = 0
    likely = min(budget.macs or math.inf, LIKELY_SHARE * most_macs)
    likely_budget = budget.model_copy(update={"macs": likely})
    order = by_priority(rows, likely_budget, outlook.likely_error if outlook else None)
    for done, name in enumerate(order, start=1):
        enough = networks is not None and fitting >= networks
        if enough or (fitting and time.perf_counter() - start > seconds):
            counted.append(not_counted(rows[name]))
            continue
        found = list(count_network(rows[name], budget, most_macs))
        fitting += any(c.fits for c in found)
        counted += found
        bar.update(done, note=name)
    bar.close()
    if not fitting:
        counted += _quickest(counted, budget)
    return counted


def _quickest(counted: Sequence[CostedCandidate], budget: Budget) -> list[CostedCandidate]:
    """Where only the time speaks against everything, the one with the least work after all.

    A network that the index does not know stands behind those that it does, by its narrowest form.
    """
    late = [c.candidate for c in counted if c.too_slow]
    if not late:
        return []
    guesses = {id(c): estimate(c) for c in late}
    least = min(late, key=lambda c: guess.macs if (guess := guesses[id(c)]) else math.inf)
    return [count_candidate(least, budget)]


def trainable_macs(speeds: Speeds, seconds: float, *, transfer: bool) -> float:
    """Return the multiply-adds of an input above which the first round could teach nothing.

    No network reaches it: it is what the machine could do if training were one large matrix
    product.
    """
    return speeds.most_macs(_longest_pass(speeds, seconds, transfer=transfer))


def _longest_pass(speeds: Speeds, seconds: float, *, transfer: bool) -> float:
    """Seconds that a pass over the training examples may take where the fewest take part."""
    least = _least_epochs(speeds, transfer=transfer)
    return plan_rungs(MIN_PLACES, seconds)[0].seconds / least


def _least_epochs(speeds: Speeds, *, transfer: bool) -> float:
    steps_a_pass = len(speeds.data.splits["train"]) / speeds.recipe.batch_size
    return max(
        MIN_EPOCHS, (MIN_ROUND_STEPS_TRANSFER if transfer else MIN_ROUND_STEPS) / steps_a_pass
    )


def choose_trials(
    task: AnyTask,
    counted: list[CostedCandidate],
    budget: Budget,
    speeds: Speeds,
    seconds: float,
    outlook: Outlook | None = None,
    *,
    extent: Extent = TIME_ONLY,
) -> tuple[list[LiveTrial], list[Trial]]:
    """Choose those that will be trained; return them and the lines of all the others.

    Args:
        outlook: what is known beforehand; without it costly, middling and cheap ones take turns.

    Raises:
        BudgetError: nothing fits.
    """
    records = {id(c): waiting_trial(task, c) for c in counted}
    fitting = [c for c in counted if c.fits]
    if not fitting:
        raise _nothing_fits(task, counted)
    most = int(min(MAX_PLACES, max(MIN_PLACES, seconds / SECONDS_A_PLACE)))
    if not extent.timed:
        most = UNTIMED_PLACES
    most, least = (min(n, extent.trials or n) for n in (most, MIN_PLACES))
    transfer = any(c.candidate.checkpoint is not None for c in fitting)
    measured = _Measured(task, speeds, budget, records, PROBE_SHARE * seconds)
    if outlook is not None:
        shortlist = choose_expected(
            fitting,
            places=outlook.places(),
            known=outlook.known,
            images=outlook.images,
            measured_images=lambda counted: outlook.within(measured.epoch_seconds(counted)),
            least=outlook.examples,
        )
    else:
        shortlist = choose_shortlist(
            fitting,
            places=range(most, least - 1, -1),
            slot_s=lambda places: plan_rungs(places, seconds)[0].seconds,
            epoch_seconds=measured.epoch_seconds,
            least_epochs=_least_epochs(speeds, transfer=transfer),
        )
    chosen = [c for c in shortlist.chosen if measured.fits(c)]
    if not chosen:
        raise _nothing_fits(task, [measured.over[id(c)] for c in shortlist.chosen])
    for c in fitting:
        if c.candidate in shortlist.left_out and id(c) not in measured.over:
            records[id(c)].reason = shortlist.left_out[c.candidate]
    trials = [LiveTrial(c, records[id(c)]) for c in chosen]
    for trial in trials if outlook is not None else ():
        assert outlook is not None
        assert trial.counted.cost is not None
        trial.expected = outlook.known.expect(trial.record.model, trial.counted.cost.macs)
    for trial in trials:
        trial.record.latency_s = trial.record.latency_s or speeds.latency(trial.counted)
    trained = {id(c) for c in chosen}
    others = [records[id(c)] for c in counted if id(c) not in trained]
    return trials, sorted(others, key=lambda r: r.status != "not trained")


def all_that_fit(
    task: AnyTask, counted: list[CostedCandidate], budget: Budget, speeds: Speeds
) -> tuple[list[LiveTrial], list[Trial]]:
    """Choose every candidate within the budget; return them and the lines of all the others.

    Raises:
        BudgetError: nothing fits.
    """
    records = {id(c): waiting_trial(task, c) for c in counted}
    measured = _Measured(task, speeds, budget, records, 0.0)
    chosen = [c for c in counted if c.fits and measured.fits(c)]
    if not chosen:
        raise _nothing_fits(task, [measured.over.get(id(c), c) for c in counted])
    trained = {id(c) for c in chosen}
    trials = [LiveTrial(c, records[id(c)]) for c in chosen]
    for trial in trials:
        trial.record.status = "not trained"
    return trials, [records[id(c)] for c in counted if id(c) not in trained]


class _Measured:
    """Costs that only running shows: asked for those candidates whose turn has come."""

    def __init__(
        self,
        task: AnyTask,
        speeds: Speeds,
        budget: Budget,
        records: dict[int, Trial],
        seconds: float,
    ):
        self._task, self._speeds, self._budget, self._records = task, speeds, budget, records
        self._seconds_left = seconds
        self._macs, self._seconds = 0.0, 0.0  # of all passes measured so far
        self.over: dict[int, CostedCandidate] = {}

    def epoch_seconds(self, counted: CostedCandidate) -> float:
        """Measure while there is time for it, then estimate from the others' rate.

        Infinite for one that is over the budget once measured, so that it takes no place.
        """
        if not self.fits(counted):
            return float("inf")
        if not self._speeds.timed:
            return UNTIMED_EPOCH_S
        assert counted.cost is not None
        if self._seconds_left <= 0:
            return counted.cost.macs * self._seconds / self._macs
        start = time.perf_counter()
        seconds = self._speeds.epoch_seconds(counted)
        self._seconds_left -= time.perf_counter() - start
        self._macs += counted.cost.macs
        self._seconds += seconds
        return seconds

    def fits(self, counted: CostedCandidate) -> bool:
        """Return whether what only running shows is within the budget, each measured once."""
        record = self._records[id(counted)]
        if record.latency_s is None and self._budget.latency_s is not None:
            record.latency_s = self._speeds.latency(counted)
        if record.file_bytes is None and self._near_file_limit(counted):
            record.file_bytes = exported_bytes(
                self._task, counted.candidate, self._speeds.data.facts()
            )
        if record.throughput is None and self._budget.throughput is not None:
            record.throughput = self._speeds.throughput(counted)
        excess = self._budget.excess(
            latency_s=record.latency_s, file_bytes=record.file_bytes, throughput=record.throughput
        )
        if excess:
            reason = ", ".join(_over(name, times) for name, times in excess.items())
            record.status, record.reason = "over budget", reason
            over = CostedCandidate(counted.candidate, counted.cost, reason, excess)
            self.over[id(counted)] = over
        return not excess

    def _near_file_limit(self, counted: CostedCandidate) -> bool:
        limit = self._budget.file_bytes
        assert counted.cost is not None
        return (
            limit is not None and counted.cost.weight_bytes * SURELY_FACTOR + SURELY_BYTES > limit
        )


def _over(name: str, times: float) -> str:
    if name in AT_LEAST:
        return f"{name} {1 / times:.2g} x what the budget asks for"
    return f"{name} {times:.1f} x the budget"


def _nothing_fits(task: AnyTask, counted: Sequence[CostedCandidate]) -> BudgetError:
    unsuited = [c for c in counted if not c.fits and not c.excess and not c.too_slow]
    slow = [c for c in counted if c.too_slow]
    if unsuited and not any(c.excess for c in counted):
        first, slow_sizes = unsuited[0], _sizes(task, slow)
        late = f"; {slow_sizes}: too slow for the time, --time-limit gives more" if slow else ""
        raise BudgetError(
            f"fit: {first.candidate.name} takes none of the sizes that the {task.items} have "
            f"({_sizes(task, unsuited)}): {first.reason}{late}"
        )
    if slow and not any(c.excess for c in counted):
        first = slow[0]
        raise BudgetError(
            f"fit: the time is too short for {first.candidate.name} at "
            f"{task.input_words(first.candidate.example)} ({first.reason}); --time-limit gives more"
        )
    nearest = [
        f"{c.candidate.name} at {task.input_words(c.candidate.example)} ({c.reason})"
        for c in nearest_misses(counted)
    ]
    return BudgetError(f"fit: no network meets the budget; nearest: {'; '.join(nearest)}")


def _sizes(task: AnyTask, counted: Sequence[CostedCandidate]) -> str:
    return ", ".join(task.input_words(c.candidate.example) for c in counted)
