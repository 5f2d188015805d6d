"""How long a network takes on this machine: measured, never estimated."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.cost.eval_mode import evaluating

HOPELESS = 4.0  # times the median of one thread: on a busy machine more threads may be no use


@dataclass(frozen=True)
class Latency:
    """Seconds of one call: the median of the timed runs and how far they spread.

    `p10_s` and `p90_s` hold the middle 80 percent; a wide gap says the machine was busy.
    """

    median_s: float
    p10_s: float
    p90_s: float
    runs: int
    threads: int
    batch: int
    device: str

    @property
    def items_per_s(self) -> float:
        """Throughput at this batch size."""
        return self.batch / self.median_s

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name, with `items_per_s`."""
        return asdict(self) | {"items_per_s": self.items_per_s}


def measure_latency(
    model: nn.Module,
    inputs: Sequence[Tensor],
    *,
    threads: int | None = None,
    seconds: float = 1.0,
    min_runs: int = 10,
) -> Latency:
    """Time warmed forward passes in evaluation mode.

    Args:
        inputs: example tensors; their first axis is the batch.
        threads: CPU threads; None leaves torch's setting.
        seconds: how long to go on timing once warm.
        min_runs: minimum number of timed runs, however long they take.
    """
    device = inputs[0].device
    with evaluating(model), limited_threads(threads), torch.inference_mode():
        times = time_calls(
            lambda: model(*inputs), seconds=seconds, min_runs=min_runs, device=device
        )
        used = torch.get_num_threads()
    return summarise(times, threads=used, batch=inputs[0].shape[0], device=str(device))


def best_latency(
    model: nn.Module, inputs: Sequence[Tensor], *, seconds: float = 0.5, rounds: int = 2
) -> Latency:
    """Return the shortest median over thread counts and rounds.

    What else runs on the machine only ever adds time, and on a small network more threads may
    add it too; so the shortest is the nearest to what the network itself needs.

    Args:
        seconds: of timing, over all rounds and thread counts.
        rounds: measurements of each thread count, in turns.
    """
    counts = sorted({1, torch.get_num_threads()})
    share = seconds / (rounds * len(counts))
    measured: list[Latency] = []
    for _ in range(rounds):
        for count in counts:
            if measured and count > 1 and _hopeless(model, inputs, count, measured):
                continue
            measured.append(measure_latency(model, inputs, threads=count, seconds=share))
    return min(measured, key=lambda latency: latency.median_s)


def _hopeless(
    model: nn.Module, inputs: Sequence[Tensor], count: int, measured: Sequence[Latency]
) -> bool:
    """Return whether two calls on that many threads show that they only wait for each other."""
    with evaluating(model), limited_threads(count), torch.inference_mode():
        times = _repeat(lambda: model(*inputs), lambda: None, 0.0, 2)
    return times[1] > HOPELESS * min(latency.median_s for latency in measured)


def time_calls(
    call: Callable[[], Any],
    *,
    seconds: float,
    min_runs: int,
    device: torch.device | None = None,
) -> list[float]:
    """Return seconds of each timed call, after a fifth of the time and two calls of warm-up."""
    wait = waits_for(device or torch.device("cpu"))
    _repeat(call, wait, seconds / 5, 2)
    return _repeat(call, wait, seconds, min_runs)


def waits_for(device: torch.device) -> Callable[[], None]:
    """Return a function that waits until a device has done what it was given; the CPU has."""
    return torch.get_device_module(device).synchronize


def _repeat(
    call: Callable[[], Any], wait: Callable[[], None], seconds: float, min_runs: int
) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < min_runs or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - start)
    return times


def quantiles(times: Sequence[float]) -> tuple[float, float]:
    """Return what a tenth of the times lie below, and a tenth at it or above."""
    ordered = sorted(times)
    return ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10]


def summarise(times: Sequence[float], *, threads: int, batch: int, device: str) -> Latency:
    """Return median and spread of timed calls."""
    p10, p90 = quantiles(times)
    return Latency(
        median_s=statistics.median(times),
        p10_s=p10,
        p90_s=p90,
        runs=len(times),
        threads=threads,
        batch=batch,
        device=device,
    )


@contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """Run torch on the given number of CPU threads, then restore it; None changes nothing."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
