"""Several calls timed by turns, and again where the machine was too busy to compare them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convatlas.cost.latency import quantiles, time_calls

TIMES_P10 = 2.0  # a p90 above this many p10 says that the machine was busy
TRIES = 3

Times = dict[str, list[float]]


@dataclass(frozen=True)
class InterleavedTimes:
    """Seconds of every timed call by name, and how many tries it took."""

    times: Times
    tries: int


def spread(times: list[float]) -> float:
    """Return how many times its p10 the p90 is."""
    p10, p90 = quantiles(times)
    return p90 / p10 if p10 > 0 else math.inf


def time_steadily(
    calls: Mapping[str, Callable[[], Any]],
    *,
    seconds: float,
    min_runs: int = 10,
    tries: int = TRIES,
    again: Callable[[str], None] = lambda line: None,
) -> InterleavedTimes:
    """Time calls by turns, all of them anew while one of them varies too much to be compared.

    The try whose worst call varied least counts, whole: times of different tries would compare
    a quiet spell of the machine with a busy one.

    Args:
        seconds: for each call in each try.
        min_runs: of each call in each try.
        tries: how often to time at the most.
        again: takes a line before each further try.
    """
    best, least, number = {}, math.inf, 0
    while True:
        number += 1
        times = time_interleaved(calls, seconds=seconds, min_runs=min_runs)
        name, worst = max(
            ((name, spread(each)) for name, each in times.items()), key=lambda each: each[1]
        )
        if not best or worst < least:
            best, least = times, worst
        if worst <= TIMES_P10 or number >= tries:
            return InterleavedTimes(best, number)
        again(
            f"{name} varies too much ({spread_text(worst)}): timing again, {number + 1} of {tries}"
        )


def spread_text(spread: float) -> str:
    """Write a spread as in `p90 is 3.40 times p10`."""
    return f"p90 is {spread:.2f} times p10"


def time_interleaved(
    calls: Mapping[str, Callable[[], Any]], *, seconds: float, min_runs: int = 10, rounds: int = 3
) -> Times:
    """Time several calls by turns, so that a busy spell of the machine meets them all.

    Each round goes the other way than the one before, so that no call always follows the same one.

    Args:
        seconds: for each call, all rounds together.
        min_runs: of each call, all rounds together.
        rounds: how often each has its turn; it is warmed anew each time.
    """
    times: Times = {name: [] for name in calls}
    names = list(calls)
    for _ in range(rounds):
        for name in names:
            least = math.ceil(min_runs / rounds)
            times[name] += time_calls(calls[name], seconds=seconds / rounds, min_runs=least)
        names.reverse()
    return times
