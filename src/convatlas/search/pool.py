"""From all that fits to the few worth training: capable, different, quick enough to learn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from convatlas.search.counted import Counted
from convatlas.search.space import Candidate

BANDS = 3
A_NETWORK = 2  # candidates of one network at most, so that the pool stays different


@dataclass
class Pool:
    """Who is trained, most capable first, and why the others that fit are not."""

    chosen: list[Counted] = field(default_factory=list)
    left_out: dict[Candidate, str] = field(default_factory=dict)


def capability(counted: Counted) -> float:
    """A guess before training: more work and more weights, the work counting double.

    Only the order matters, and only for who is tried; training decides who wins.
    """
    assert counted.cost is not None
    return 2 * math.log(max(counted.cost.macs, 1)) + math.log(max(counted.cost.params, 1))


def choose_pool(
    fitting: Sequence[Counted],
    *,
    places: Sequence[int],
    slot_s: Callable[[int], float],
    epoch_seconds: Callable[[Counted], float],
    least_epochs: float,
) -> Pool:
    """Take turns between costly, middling and cheap candidates, the most capable of each first.

    Costly ones learn more from a pass, cheap ones see more passes in the same time; which of
    the two pays is not known before training, so the pool holds both. As many take part as can
    each learn something in the first round, one of the costly ones among them: fewer places give
    longer rounds.

    Args:
        places: how many may take part, most first.
        slot_s: seconds that each gets in the first round, by the number of places.
        epoch_seconds: how long one pass over the training images takes; asked only for those
            whose turn has come, for it is measured.
        least_epochs: passes in the first round below which a candidate is judged on nothing.
    """
    bands = _bands(fitting)
    turns = _Turns(_in_turn(bands), epoch_seconds)
    chosen: list[Counted] = []
    limit = 0.0
    for count in places:
        allowed = slot_s(count) / least_epochs
        quick = turns.quick(count, allowed)
        costly = any(c in bands[0] for c in quick)
        if len(quick) > len(chosen) or (costly and len(quick) == count):
            chosen, limit = quick, allowed
        if costly and len(quick) == count:
            break
    if not chosen and fitting:  # rather the cheapest than none
        chosen = [min(fitting, key=capability)]
    left_out = {c.candidate: turns.reason(c, limit) for c in fitting if c not in chosen}
    return Pool(sorted(chosen, key=capability, reverse=True), left_out)


class _Turns:
    """The candidates in the order of their turns; each is timed once, when it is looked at."""

    def __init__(self, order: Sequence[Counted], epoch_seconds: Callable[[Counted], float]):
        self._order, self._measure = order, epoch_seconds
        self._seconds: dict[Candidate, float] = {}

    def quick(self, count: int, limit: float) -> list[Counted]:
        """The first `count` whose pass takes no longer than `limit` seconds."""
        chosen: list[Counted] = []
        taken: dict[str, int] = {}
        for counted in self._order:
            name = counted.candidate.name
            if len(chosen) == count:
                break
            if taken.get(name, 0) < A_NETWORK and self._epoch(counted) <= limit:
                taken[name] = taken.get(name, 0) + 1
                chosen.append(counted)
        return chosen

    def reason(self, counted: Counted, limit: float) -> str:
        """Why it is not in the pool, with what was measured."""
        seconds = self._seconds.get(counted.candidate)
        if seconds is not None and seconds > limit:
            return f"too slow: a pass over the images takes {seconds:.3g} s, {limit:.3g} s allowed"
        return "fits, but others looked more worth the time"

    def _epoch(self, counted: Counted) -> float:
        key = counted.candidate
        if key not in self._seconds:
            self._seconds[key] = self._measure(counted)
        return self._seconds[key]


def _bands(fitting: Sequence[Counted]) -> list[list[Counted]]:
    """Equal steps in the logarithm of the work, from most to least; each most capable first."""
    if not fitting:
        return []
    work = [math.log(max(c.cost.macs, 1)) for c in fitting if c.cost is not None]
    low, high = min(work), max(work)
    bands: list[list[Counted]] = [[] for _ in range(BANDS)]
    for counted, value in zip(fitting, work, strict=True):
        step = (high - value) / (high - low) * BANDS if high > low else 0
        bands[min(BANDS - 1, int(step))].append(counted)
    return [_networks_apart(band) for band in bands if band]


def _networks_apart(band: Sequence[Counted]) -> list[Counted]:
    """Most capable first, but every network once before any comes a second time."""
    ranked = sorted(band, key=capability, reverse=True)
    seen: dict[str, int] = {}
    turns = []
    for counted in ranked:
        turn = seen[counted.candidate.name] = seen.get(counted.candidate.name, -1) + 1
        turns.append((turn, counted))
    return [counted for _, counted in sorted(turns, key=lambda pair: pair[0])]


def _in_turn(bands: Sequence[Sequence[Counted]]) -> list[Counted]:
    longest = max((len(band) for band in bands), default=0)
    return [band[i] for i in range(longest) for band in bands if i < len(band)]
