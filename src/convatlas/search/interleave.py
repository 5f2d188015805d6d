"""Costly, middling and cheap ones take turns, and so do architectures: a varied order."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
BANDS = 3


def round_robin(
    items: Sequence[Item],
    *,
    work: Callable[[Item], float],
    capacity: Callable[[Item], float],
    kind: Callable[[Item], Hashable],
) -> list[Item]:
    """Take one of each band after the other, the most capable of each first.

    Args:
        work: multiply-adds; bands are equal steps in its logarithm, from most to least.
        capacity: what decides within a band.
        kind: within a band every kind comes once before any comes a second time.
    """
    ordered = [_kinds_apart(band, capacity, kind) for band in bands(items, work)]
    longest = max((len(band) for band in ordered), default=0)
    return [band[i] for i in range(longest) for band in ordered if i < len(band)]


def bands(items: Sequence[Item], work: Callable[[Item], float]) -> list[list[Item]]:
    """Cut into equal steps in the logarithm of the work, from most to least; none is empty."""
    if not items:
        return []
    logs = [math.log(max(work(item), 1)) for item in items]
    low, high = min(logs), max(logs)
    found: list[list[Item]] = [[] for _ in range(BANDS)]
    for item, value in zip(items, logs, strict=True):
        step = (high - value) / (high - low) * BANDS if high > low else 0
        found[min(BANDS - 1, int(step))].append(item)
    return [band for band in found if band]


def _kinds_apart(
    band: Sequence[Item], capacity: Callable[[Item], float], kind: Callable[[Item], Hashable]
) -> list[Item]:
    seen: dict[Hashable, int] = {}
    turns: list[tuple[int, Item]] = []
    for item in sorted(band, key=capacity, reverse=True):
        turn = seen[kind(item)] = seen.get(kind(item), -1) + 1
        turns.append((turn, item))
    return [item for _, item in sorted(turns, key=lambda pair: pair[0])]
