"""Which networks to count first, where there is no time to count all: a guess without building.

The published count of a name, scaled by width, input size and stem, is within a factor of about two
of the candidate's own. That is enough for an order; what is trained is counted exactly.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from convatlas.atlas.index import read_index
from convatlas.atlas.listing import published_accuracies
from convatlas.models.registry import Entry, find_entry
from convatlas.search.budget import Budget
from convatlas.search.interleave import round_robin
from convatlas.search.space import Candidate, input_share

Sweeps = Sequence[Sequence[Candidate]]


@dataclass(frozen=True)
class Estimate:
    """Guessed costs of a candidate."""

    params: float
    macs: float

    @property
    def capacity(self) -> float:
        """More work and more weights, the work counting double."""
        return capacity(self.params, self.macs)


def capacity(params: float, macs: float) -> float:
    """Guess before training: only the order matters, and only for what is tried."""
    return 2 * math.log(max(macs, 1)) + math.log(max(params, 1))


def estimate(candidate: Candidate) -> Estimate | None:
    """Estimate costs by the published count; None where the index does not tell."""
    known = read_index().get(candidate.name)
    if known is None:
        return None
    published = {"width": 1.0, "stem_stride": 1, **find_entry(candidate.name).defaults}
    chosen = {**published, **candidate.options}
    width = chosen["width"] / published["width"]
    share = input_share(candidate, known.input)
    if share is None:
        return None
    area = share * (published["stem_stride"] / chosen["stem_stride"]) ** 2
    return Estimate(known.params * width**2, known.macs * width**2 * area)


def by_priority(
    rows: Mapping[str, Sweeps],
    budget: Budget,
    likely_error: Callable[[str, float], float | None] | None = None,
) -> list[str]:
    """Return names in the order in which counting them is worth the time.

    Networks that the index does not know (the user's own) come first; then those of which
    something is known beforehand, the most promising first; then costly, middling and cheap ones
    take turns, each by the most that it may have within the budget; those that surely do not fit
    come last.

    Args:
        likely_error: the error expected of a network with these multiply-adds; None where
            nothing was recorded of it.
    """
    own, best, expected_errors, rest = [], {}, {}, []
    for name, sweeps in rows.items():
        guesses = [estimate(candidate) for sweep in sweeps for candidate in sweep]
        if None in guesses:
            own.append(name)
            continue
        fitting = [g for g in guesses if g and not budget.excess(params=g.params, macs=g.macs)]
        if fitting:
            best[name] = max(fitting, key=lambda guess: guess.capacity)
            guessed = [likely_error(name, g.macs) for g in fitting] if likely_error else []
            errors = [error for error in guessed if error is not None]
            if errors:
                expected_errors[name] = min(errors)
        else:
            rest.append(name)
    first = sorted(expected_errors, key=expected_errors.__getitem__)
    order = round_robin(
        [name for name in best if name not in expected_errors],
        work=lambda name: best[name].macs,
        capacity=lambda name: best[name].capacity,
        kind=architecture,
    )
    return own + first + order + rest


def architecture(name: str) -> str:
    """Return the class behind a name: its variants look alike to the search."""
    return find_entry(name).cls.__qualname__


def pareto_front(entries: Iterable[Entry]) -> list[Entry]:
    """Leave out those that one of the same architecture beats by its paper's own figures.

    Beaten: published on the same data, tested in the same way, at least as accurate, with no more
    multiply-adds and no more parameters (plain networks beside residual ones, and the like). What
    has no published accuracy stays.
    """
    entries = list(entries)
    return [e for e in entries if not any(_beats(other, e) for other in entries)]


def _beats(one: Entry, other: Entry) -> bool:
    if one.cls is not other.cls or one.name == other.name:
        return False
    known, published = read_index(), published_accuracies()
    names = (one.name, other.name)
    if not all(name in known and name in published for name in names):
        return False
    a, b = (published[name] for name in names)
    if (a.dataset, a.setting) != (b.dataset, b.setting):
        return False
    first = (a.value, -known[one.name].macs, -known[one.name].params)
    second = (b.value, -known[other.name].macs, -known[other.name].params)
    return first != second and all(x >= y for x, y in zip(first, second, strict=True))
