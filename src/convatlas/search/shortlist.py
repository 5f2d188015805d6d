"""From all that fits to the few worth training: capable, different, quick enough to learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from convatlas.search.costed import CostedCandidate
from convatlas.search.interleave import bands, round_robin
from convatlas.search.known_curves import Expected, KnownCurves
from convatlas.search.priority import architecture
from convatlas.search.priority import capacity as capacity_of
from convatlas.search.space import Candidate

PROBES = 3  # times as many as take part are measured
SAME = 2  # candidates of one architecture at most, so that the pool stays different


@dataclass
class Shortlist:
    """Who is trained, most capable first, and why the others that fit are not."""

    chosen: list[CostedCandidate] = field(default_factory=list)
    left_out: dict[Candidate, str] = field(default_factory=dict)


def capacity(counted: CostedCandidate) -> float:
    """Order by the counted cost; training decides which wins."""
    assert counted.cost is not None
    return capacity_of(counted.cost.params, counted.cost.macs)


def _work(counted: CostedCandidate) -> float:
    assert counted.cost is not None
    return counted.cost.macs


def _architecture(counted: CostedCandidate) -> str:
    return architecture(counted.candidate.name)


def choose_shortlist(
    fitting: Sequence[CostedCandidate],
    *,
    places: Sequence[int],
    slot_s: Callable[[int], float],
    epoch_seconds: Callable[[CostedCandidate], float],
    least_epochs: float,
) -> Shortlist:
    """Take turns between costly, middling and cheap candidates, the most capable of each first.

    Costly ones learn more from a pass, cheap ones see more passes in the same time; which of
    the two pays is not known before training, so the pool holds both. As many take part as can
    each learn something in the first round, one of the costly ones among them: fewer places give
    longer rounds. Where a round is too short for all, one is trained alone, for one pass at least.

    Args:
        places: how many may take part, most first.
        slot_s: seconds that each gets in the first round, by the number of places.
        epoch_seconds: how long one pass over the training examples takes; asked only for those
            whose turn has come, for it is measured.
        least_epochs: passes in the first round below which a candidate is judged on nothing.
    """
    costliest = bands(fitting, _work)[:1]
    order = round_robin(fitting, work=_work, capacity=capacity, kind=_architecture)
    turns = _Turns(order, epoch_seconds)
    chosen: list[CostedCandidate] = []
    limit = slot_s(min(places)) / least_epochs  # the most that any number of places would give
    for count in places:
        allowed = slot_s(count) / least_epochs
        quick = turns.quick(count, allowed)
        costly = any(c in band for band in costliest for c in quick)
        if len(quick) > len(chosen) or (costly and len(quick) == count):
            chosen, limit = quick, allowed
        if costly and len(quick) == count:
            break
    if not chosen:  # one alone has all the time, in which it may well see every example
        limit = slot_s(1) / max(1.0, least_epochs)
        chosen = turns.quick(1, limit)
    if not chosen and fitting:  # rather the cheapest than none
        chosen = [min(fitting, key=capacity)]
    left_out = {c.candidate: turns.reason(c, limit) for c in fitting if c not in chosen}
    return Shortlist(sorted(chosen, key=capacity, reverse=True), left_out)


def choose_expected(
    fitting: Sequence[CostedCandidate],
    *,
    places: int,
    known: KnownCurves,
    images: Callable[[Expected], float],
    measured_images: Callable[[CostedCandidate], float],
    least: float,
) -> Shortlist:
    """Choose those that are expected to reach most by the end, by recorded learning curves.

    Args:
        places: how many take part.
        images: training images that a candidate would see by the end, roughly.
        measured_images: the same, from a measured step; 0 for one that takes no place. Asked only
            for those that look best.
        least: images below which a network learns nothing.
    """
    expected = {c.candidate: known.expect(c.candidate.name, _work(c)) for c in fitting}
    hopes = {key: each.error(images(each)) for key, each in expected.items()}
    order = sorted(fitting, key=lambda c: hopes[c.candidate])
    seen: dict[Candidate, float] = {}
    able: list[CostedCandidate] = []
    taken: dict[str, int] = {}
    for counted in order:
        name = _architecture(counted)
        if len(able) == PROBES * places:
            break
        if taken.get(name, 0) == SAME:
            continue
        seen[counted.candidate] = measured_images(counted)
        if seen[counted.candidate] >= least:  # one that is over the budget takes no other's turn
            taken[name] = taken.get(name, 0) + 1
            able.append(counted)
    able.sort(key=lambda c: expected[c.candidate].error(seen[c.candidate]))
    chosen = _architectures_apart(able)[:places]
    if not chosen and fitting:  # rather the cheapest than none
        chosen = [min(fitting, key=capacity)]
    left_out = {}
    for counted in fitting:
        if counted not in chosen:
            count = seen.get(counted.candidate)
            late = count is not None and count < least
            left_out[counted.candidate] = (
                f"too slow: sees {count:,.0f} training examples in the time, {least:,.0f} needed"
                if late
                else "fits; expected to reach less in the time"
            )
    return Shortlist(chosen, left_out)


def _architectures_apart(order: Sequence[CostedCandidate]) -> list[CostedCandidate]:
    """Move the second of an architecture behind the first of every other."""
    turns: list[int] = []
    taken: dict[str, int] = {}
    for counted in order:
        turn = taken[_architecture(counted)] = taken.get(_architecture(counted), -1) + 1
        turns.append(turn)
    return [c for _, c in sorted(zip(turns, order, strict=True), key=lambda pair: pair[0])]


class _Turns:
    """The candidates in the order of their turns; each is timed once, when it is looked at."""

    def __init__(
        self, order: Sequence[CostedCandidate], epoch_seconds: Callable[[CostedCandidate], float]
    ):
        self._order, self._measure = order, epoch_seconds
        self._seconds: dict[Candidate, float] = {}

    def quick(self, count: int, limit: float) -> list[CostedCandidate]:
        """Return the first `count` whose pass takes no longer than `limit` seconds."""
        chosen: list[CostedCandidate] = []
        taken: dict[str, int] = {}
        for counted in self._order:
            name = _architecture(counted)
            if len(chosen) == count:
                break
            if taken.get(name, 0) < SAME and self._epoch(counted) <= limit:
                taken[name] = taken.get(name, 0) + 1
                chosen.append(counted)
        return chosen

    def reason(self, counted: CostedCandidate, limit: float) -> str:
        """Return why it is not on the shortlist, with what was measured."""
        seconds = self._seconds.get(counted.candidate)
        if seconds is not None and seconds > limit:
            return f"too slow: one epoch takes {seconds:.3g} s, {limit:.3g} s allowed"
        return "fits; ranked lower"

    def _epoch(self, counted: CostedCandidate) -> float:
        key = counted.candidate
        if key not in self._seconds:
            self._seconds[key] = self._measure(counted)
        return self._seconds[key]
