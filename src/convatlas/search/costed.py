"""Candidates with their costs: what fits the budget, what does not and by how much."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from convatlas.atlas.index import read_index
from convatlas.cost import Cost, count
from convatlas.errors import CountError
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import find_entry
from convatlas.search.budget import Budget
from convatlas.search.space import Candidate, input_share
from convatlas.text import format_number

TRIES = 2  # of each network and size, the widest that fit
# Of what scaling the published count gives: channels are rounded and heads shrink with the classes.
SURE_SHARE = {"macs": 0.5, "params": 0.2}


@dataclass
class CostedCandidate:
    """A candidate, its cost (None where it was not counted) and why it is out, if it is.

    `too_slow`: nothing but the time speaks against it, that for counting or that for training.
    """

    candidate: Candidate
    cost: Cost | None
    reason: str = ""
    excess: dict[str, float] = field(default_factory=dict)
    too_slow: bool = False

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reason


def count_network(
    sweeps: Sequence[Sequence[Candidate]], budget: Budget, most_macs: float = math.inf
) -> Iterator[CostedCandidate]:
    """Count one network at all its sizes and widths: those that fit, and the nearest misses.

    Each sweep is one size, widest first; the largest size comes first. If the narrowest at the
    smallest size is too much, everything else is, and it stands for all. Else each sweep is
    counted downwards from the first width that might fit, until two do.

    Args:
        most_macs: of an input; above it training would take longer than there is time.
    """
    smallest = _held(sweeps[-1][-1], budget, most_macs)
    if smallest.excess or smallest.too_slow:
        yield smallest
        return
    for sweep in sweeps:
        yield from _count_sweep(sweep, budget, most_macs)


def _count_sweep(
    sweep: Sequence[Candidate], budget: Budget, most_macs: float
) -> Iterator[CostedCandidate]:
    fitting, over = 0, None
    for candidate in sweep:
        counted = _held(candidate, budget, most_macs)
        if counted.fits:
            fitting += 1
            yield counted
            if fitting == TRIES:
                break
        else:
            over = counted
            if counted.cost is None and not counted.excess and not counted.too_slow:
                break  # a size that it cannot take is no better at another width
    if over is not None and not fitting:
        yield over


def _held(candidate: Candidate, budget: Budget, most_macs: float) -> CostedCandidate:
    """A candidate held against the budget and the time, counted only where that can tell."""
    ruled_out = _surely_out(candidate, budget, most_macs)
    if ruled_out is not None:
        return ruled_out
    counted = count_candidate(candidate, budget)
    if counted.cost is not None and counted.fits and counted.cost.macs > most_macs:
        return _over_time(counted.candidate, counted.cost, counted.cost.macs, most_macs)
    return counted


def _over_time(
    candidate: Candidate, cost: Cost | None, macs: float, most_macs: float
) -> CostedCandidate:
    reason = (
        f"too slow: {format_number(macs)} multiply-adds per input; the time is enough for "
        f"at most {format_number(most_macs)}"
    )
    return CostedCandidate(candidate, cost, reason, too_slow=True)


def count_candidate(candidate: Candidate, budget: Budget) -> CostedCandidate:
    """Count one candidate on shapes alone and hold it against the budget."""
    try:
        with on_shapes():
            model = candidate.build()
            inputs = candidate.inputs(model)
        cost = count(model, inputs)
    except (ValueError, CountError) as error:  # its own word on the size, or no fixed cost
        return CostedCandidate(candidate, None, str(error))
    except Exception as error:  # a user's network may do anything; the others go on
        if find_entry(candidate.name).ours:
            raise
        return CostedCandidate(
            candidate, None, f"cannot be counted: {type(error).__name__}: {error}"
        )
    costs = {
        "params": cost.params,
        "macs": cost.macs,
        "file_bytes": _least_file(cost),
        "memory_bytes": cost.memory_bytes,
    }
    excess = budget.excess(**costs)
    reason = ", ".join(
        f"{name} {costs[name]:,} is {times:.1f} x the budget" for name, times in excess.items()
    )
    return CostedCandidate(candidate, cost, reason, excess)


def _surely_out(candidate: Candidate, budget: Budget, most_macs: float) -> CostedCandidate | None:
    """What the published count already rules out needs no count of its own.

    Both fall at most with the square of the width, and work with the square of the size.
    """
    known = read_index().get(candidate.name)
    if known is None:
        return None
    published = find_entry(candidate.name).defaults.get("width", 1.0)
    width = candidate.options.get("width", published) / published
    share = input_share(candidate, known.input)
    if share is None:
        return None
    narrowed = min(width, width**2)
    macs = SURE_SHARE["macs"] * known.macs * narrowed * share
    excess = budget.excess(params=SURE_SHARE["params"] * known.params * narrowed, macs=macs)
    if not excess:
        return _over_time(candidate, None, macs, most_macs) if macs > most_macs else None
    over = ", ".join(f"{name} at least {times:.1f} x" for name, times in excess.items())
    return CostedCandidate(candidate, None, f"{over} the budget, by its published count", excess)


def not_counted(sweeps: Sequence[Sequence[Candidate]]) -> CostedCandidate:
    """Write one line for a network whose turn to be counted did not come."""
    return CostedCandidate(
        sweeps[0][0], None, "not counted: the time for counting ran out", too_slow=True
    )


def _least_file(cost: Cost) -> int:
    """The exported file holds at least the weights; normalisation is folded into them."""
    return sum(4 * layer.params for layer in cost.layers if "Norm" not in layer.kind)


def nearest_misses(counted: Iterable[CostedCandidate], places: int = 3) -> list[CostedCandidate]:
    """Return those that miss the budget by least, for the message when nothing fits."""
    missed = [c for c in counted if c.excess]
    return sorted(missed, key=lambda c: max(c.excess.values()))[:places]
