"""Successive halving: train many a little, keep the best, train those more.

Source: Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", AISTATS 2016, with wall-clock seconds as the resource.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")

KEEP = 3  # one in three goes on
FINAL_SHARE = 0.5  # of the time, for the winner alone


@dataclass(frozen=True)
class Rung:
    """One round: how many take part and the seconds each of them gets."""

    places: int
    seconds: float


def plan_rungs(places: int, seconds: float) -> list[Rung]:
    """Plan rounds for `places` candidates within `seconds`; the last one is the winner's.

    Every round before the winner's gets the same share of the time, so a survivor trains about
    three times as long as it did in the round before.
    """
    counts = [places]
    while counts[-1] > 1:
        counts.append(max(1, round(counts[-1] / KEEP)))
    rounds = counts[:-1]
    share = (1 - FINAL_SHARE) * seconds / max(1, len(rounds))
    final = seconds - share * len(rounds)
    return [Rung(n, share / n) for n in rounds] + [Rung(1, final)]


def successive_halving(
    items: Sequence[Item],
    rungs: Sequence[Rung],
    train: Callable[[Item, float, bool], Any],
    dropped: Callable[[Item, int], None],
) -> list[Item]:
    """Play all rounds; return what is left, best first.

    Args:
        train: trains an item for some seconds more and says how good it is, as something that
            sorts; None says that it failed or that no more training is wanted. The flag is true
            in the last round.
        dropped: told of each item that does not go on, and in which round (from 1).
    """
    left = list(items)
    for number, rung in enumerate(rungs, start=1):
        for item in left[rung.places :]:
            dropped(item, number - 1)
        left = left[: rung.places]
        scores = {id(item): train(item, rung.seconds, rung is rungs[-1]) for item in left}
        left.sort(key=lambda item: _worth(scores[id(item)]), reverse=True)
    return left


def _worth(score: Any) -> tuple[Any, ...]:
    return () if score is None else (score,)
