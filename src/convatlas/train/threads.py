"""How many CPU threads to train with: measured, for a small network may be better off alone.

Every parallel piece of a step ends with all threads waiting for the last one. Where the pieces
are short, or other programs hold the cores, that wait costs more than the threads bring.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from convatlas.cost.latency import limited_threads

STEPS = 2


class Speed(NamedTuple):
    """Seconds of one step with so many threads."""

    seconds: float
    threads: int


def fastest_threads(step: Callable[[], Any]) -> Speed:
    """The faster of one thread and as many as torch is set to use."""
    counts = {1, torch.get_num_threads()}
    return min(Speed(_seconds(step, count), count) for count in sorted(counts))


def _seconds(step: Callable[[], Any], count: int) -> float:
    with limited_threads(count):
        step()  # the first one warms up
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        return (time.perf_counter() - start) / STEPS
