"""Candidates with their costs: what fits the budget, what does not and by how much."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from convatlas.atlas.index import read_index
from convatlas.cost import Cost, count
from convatlas.models.registry import find_entry
from convatlas.search.budget import Budget
from convatlas.search.space import Candidate

TRIES = 2  # of each network and size, the widest that fit
# Of what scaling the published count gives: channels are rounded and heads shrink with the classes.
SURE_SHARE = {"macs": 0.5, "params": 0.2}


@dataclass
class Counted:
    """A candidate, its cost (None where it was not counted) and why it is out, if it is.

    `skipped`: nothing was found out about it.
    """

    candidate: Candidate
    cost: Cost | None
    reason: str = ""
    excess: dict[str, float] = field(default_factory=dict)
    skipped: bool = False

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reason


def count_network(ladders: Sequence[Sequence[Candidate]], budget: Budget) -> Iterator[Counted]:
    """One network at all its sizes and widths: those that fit, and the nearest that do not.

    Each ladder is one size, widest first. If the narrowest at the smallest size is too much,
    everything else is, and it stands for all. Else each ladder is counted downwards from the
    first width that might fit, until two do.
    """
    least = min((ladder[-1] for ladder in ladders), key=lambda candidate: candidate.size)
    smallest = _surely_over(least, budget) or count_candidate(least, budget)
    if smallest.cost is None or smallest.excess:
        takes_another = smallest.cost is None and not smallest.excess
        if not takes_another:
            yield smallest
            return
    for ladder in ladders:
        yield from _count_ladder(ladder, budget)


def _count_ladder(ladder: Sequence[Candidate], budget: Budget) -> Iterator[Counted]:
    fitting, over = 0, None
    for candidate in ladder:
        counted = _surely_over(candidate, budget) or count_candidate(candidate, budget)
        if counted.fits:
            fitting += 1
            yield counted
            if fitting == TRIES:
                break
        else:
            over = counted
            if counted.cost is None and not counted.excess:
                break  # a size that it cannot take is no better at another width
    if over is not None and not fitting:
        yield over


def count_candidate(candidate: Candidate, budget: Budget) -> Counted:
    """Count one candidate on shapes alone and hold it against the budget."""
    options = candidate.options
    shape = (1, options.get("in_channels", 3), candidate.size, candidate.size)
    try:
        with torch.device("meta"):
            model = candidate.build()
        cost = count(model, shape)
    except ValueError as error:  # the network's own word on the size
        return Counted(candidate, None, str(error))
    costs = {"params": cost.params, "macs": cost.macs, "file_bytes": _least_file(cost)}
    excess = budget.excess(**costs)
    reason = ", ".join(
        f"{name} {costs[name]:,} is {times:.1f} x the budget" for name, times in excess.items()
    )
    return Counted(candidate, cost, reason, excess)


def _surely_over(candidate: Candidate, budget: Budget) -> Counted | None:
    """What the published count already rules out needs no count of its own.

    Both fall at most with the square of the width, and work with the square of the size.
    """
    known = read_index().get(candidate.name)
    if known is None:
        return None
    published = find_entry(candidate.name).defaults.get("width", 1.0)
    width = candidate.options.get("width", published) / published
    size = candidate.size / known.input[-1]
    narrowed = min(width, width**2)
    excess = budget.excess(
        params=SURE_SHARE["params"] * known.params * narrowed,
        macs=SURE_SHARE["macs"] * known.macs * narrowed * size**2,
    )
    if not excess:
        return None
    over = ", ".join(f"{name} at least {times:.1f} x" for name, times in excess.items())
    return Counted(candidate, None, f"{over} the budget, by its published count", excess)


def not_counted(ladders: Sequence[Sequence[Candidate]]) -> Counted:
    """One line for a network whose turn to be counted did not come."""
    return Counted(ladders[0][0], None, "not counted: the time for counting was up", skipped=True)


def _least_file(cost: Cost) -> int:
    """The exported file holds at least the weights; normalisation is folded into them."""
    return sum(4 * layer.params for layer in cost.layers if "Norm" not in layer.kind)


def nearest_misses(counted: Iterable[Counted], places: int = 3) -> list[Counted]:
    """Those that miss the budget by least, for the message when nothing fits."""
    missed = [c for c in counted if c.excess]
    return sorted(missed, key=lambda c: max(c.excess.values()))[:places]
