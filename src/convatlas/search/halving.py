"""Successive halving: train many a little, keep the best, train those more.

Source: Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", AISTATS 2016, with wall-clock seconds (or epochs) as the resource.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")

KEEP = 3  # one in three goes on
FINAL_SHARE = 0.6  # of the time, for the winner alone


@dataclass(frozen=True)
class Rung:
    """One round: how many take part and the seconds each of them gets."""

    places: int
    seconds: float


def plan_rungs(places: int, seconds: float) -> list[Rung]:
    """Plan rounds for `places` candidates within `seconds`; the last one is the winner's.

    Every round before the winner's gets the same share of the time, so a survivor trains about
    three times as long as it did in the round before. More than two meet once more as a pair.
    """
    counts = [places]
    while counts[-1] > 2:
        counts.append(max(2, round(counts[-1] / KEEP)))
    rounds = [count for count in counts if count > 1]
    share = (1 - FINAL_SHARE) * seconds / max(1, len(rounds))
    final = seconds - share * len(rounds)
    return [Rung(n, share / n) for n in rounds] + [Rung(1, final)]


def successive_halving(
    items: Sequence[Item],
    rungs: Sequence[Rung],
    train: Callable[[Item, float, bool], Any],
    order: Callable[[list[Item]], list[Item]],
    dropped: Callable[[Item, int], None],
    decided: Callable[[list[Item]], bool] = lambda items: False,
) -> list[Item]:
    """Play all rounds; return what is left, best first.

    Args:
        train: trains an item for some seconds more. The flag is true in the last round.
        order: sorts the items of a round, the most promising first.
        dropped: told of each item that does not go on, and in which round (from 1).
        decided: whether the first of the sorted items is so far ahead that the rounds up to the
            last need not be played; their time goes to the last.
    """
    left, rungs = list(items), list(rungs)
    number = 0
    while rungs:
        rung = rungs.pop(0)
        number += 1
        for item in left[rung.places :]:
            dropped(item, number - 1)
        left = left[: rung.places]
        for item in left:
            train(item, rung.seconds, not rungs)
        left = order(left)
        if len(rungs) > 1 and len(left) > 1 and decided(left):
            rungs = [Rung(1, sum(each.places * each.seconds for each in rungs))]
    return left
