"""From all that fits to the few worth training: capable, different, quick enough to learn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from convatlas.search.counted import Counted
from convatlas.search.space import Candidate

BANDS = 3
LEAST_EPOCHS = 0.5  # in the first round: with less, a candidate would be judged on nothing
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
    places: int,
    slot_s: float,
    epoch_seconds: Callable[[Counted], float],
) -> Pool:
    """Take turns between costly, middling and cheap candidates, the most capable of each first.

    Costly ones learn more from a pass, cheap ones see more passes in the same time; which of
    the two pays is not known before training, so the pool holds both.

    Args:
        places: how many to take.
        slot_s: seconds that each gets in the first round.
        epoch_seconds: how long one pass over the training images takes; asked only for those
            whose turn has come, for it is measured.
    """
    pool = Pool()
    taken: dict[str, int] = {}
    for counted in _in_turn(_bands(fitting)):
        name = counted.candidate.name
        if len(pool.chosen) >= places or taken.get(name, 0) >= A_NETWORK:
            pool.left_out[counted.candidate] = "fits, but others looked more worth the time"
            continue
        epochs = slot_s / epoch_seconds(counted)
        if epochs < LEAST_EPOCHS:
            pool.left_out[counted.candidate] = (
                f"too slow to learn in its time ({epochs:.2g} epochs)"
            )
            continue
        taken[name] = taken.get(name, 0) + 1
        pool.chosen.append(counted)
    if not pool.chosen and fitting:  # rather the cheapest than none
        cheapest = min(fitting, key=capability)
        pool.chosen.append(cheapest)
        pool.left_out.pop(cheapest.candidate, None)
    pool.chosen.sort(key=capability, reverse=True)
    return pool


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
