"""How many CPU threads to train with: measured, for a small network may be better off alone.

Every parallel piece of a step ends with all threads waiting for the last one. Where the pieces
are short, or other programs hold the cores, that wait costs more than the threads bring.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from convatlas.cost.latency import limited_threads, waits_for

CPU = torch.device("cpu")
STEPS = 2
# Times the step of one thread: on a busy machine threads wait for each other much longer than they
# work, and a measurement would take the time that it should save.
HOPELESS = 4.0
LONG_STEP_S = 0.5  # a step so long is its own measurement: what warming up adds does not count


class Speed(NamedTuple):
    """Seconds of one step with that many threads."""

    seconds: float
    threads: int


def fastest_threads(step: Callable[[], Any], device: torch.device = CPU) -> Speed:
    """Time a step, with the faster of one thread and as many as torch is set to use.

    Args:
        device: where the step's work is done. Off the CPU the number of threads stays as it is.
    """
    many = torch.get_num_threads()
    if device.type != "cpu":
        return Speed(_accelerator_seconds(step, device), many)
    best = Speed(_seconds(step, 1), 1)
    if many > 1:
        best = min(best, Speed(_seconds(step, many, hopeless_s=HOPELESS * best.seconds), many))
    return best


def _seconds(step: Callable[[], Any], count: int, hopeless_s: float = math.inf) -> float:
    with limited_threads(count):
        start = time.perf_counter()
        step()  # the first one warms up
        first = time.perf_counter() - start
        if first > min(hopeless_s, LONG_STEP_S):
            return first
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        return (time.perf_counter() - start) / STEPS


def _accelerator_seconds(step: Callable[[], Any], device: torch.device) -> float:
    """Time the work until it is done: a call returns as soon as it is queued.

    The first step loads the device's libraries and says nothing, however long it takes.
    """
    wait = waits_for(device)
    step()
    wait()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    wait()
    return (time.perf_counter() - start) / STEPS
