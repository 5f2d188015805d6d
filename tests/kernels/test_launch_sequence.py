"""Kernels in one start: each begins when the one before it is done, on however many threads."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from convatlas.kernels.codegen.memory import get_float, put_float
from convatlas.kernels.runtime import threads as workers
from convatlas.kernels.runtime.compiler import kernel
from convatlas.kernels.runtime.launch_sequence import LaunchSequence
from convatlas.kernels.runtime.records import Double

KIND = np.float32(0)
PARTS = 5


@kernel()
def write(part, parts, numbers, effort, kind):
    """Its number from every part; the first takes long."""
    total = np.float32(0)
    for i in range(0 if part else effort):
        total += get_float(numbers + i % parts * 4)
    put_float(numbers + part * 4, np.float32(part + 1) + total * np.float32(0))


@kernel(factor="float32")
def add_up(part, parts, numbers, count, result, factor, kind):
    """The sum of the numbers, times a factor."""
    total = np.float32(0)
    for i in range(count):
        total += get_float(numbers + i * 4)
    put_float(result, total * factor)


write_and_add = LaunchSequence(write, write, add_up)


def total(first=PARTS, second=PARTS, effort=2_000_000):
    numbers, result = torch.zeros(PARTS), torch.zeros(1)
    at = numbers.data_ptr()
    calls = ((first, at, effort), (second, at, effort), (1, at, PARTS, result.data_ptr(), 2.0))
    write_and_add(KIND, *calls)
    return result.item()


def test_a_kernel_sees_what_all_parts_of_the_one_before_have_written():
    assert [total() for _ in range(5)] == [2.0 * sum(range(1, PARTS + 1))] * 5


def test_a_kernel_without_parts_is_passed_over():
    assert total(first=0, second=0) == 0


def test_one_thread_does_the_parts_of_all(monkeypatch):
    alone = lambda address, call, *_: workers._function(address)(call)  # noqa: E731  # a stand-in
    monkeypatch.setattr(workers, "_openmp_team", lambda: alone)
    assert total() == 2.0 * sum(range(1, PARTS + 1))


@pytest.mark.parametrize("effort", [0, 2_000_000])
def test_threads_of_our_own_wait_for_each_other(effort, monkeypatch):
    monkeypatch.setattr(workers, "_openmp_team", lambda: None)
    assert total(effort=effort) == 2.0 * sum(range(1, PARTS + 1))


def test_whoever_waits_long_lets_others_run(monkeypatch):
    """More threads than cores, of which one works and the others wait."""
    monkeypatch.setattr(workers, "_openmp_team", lambda: None)
    assert total(effort=200_000_000) == 2.0 * sum(range(1, PARTS + 1))


class Numbers(NamedTuple):
    at: int
    count: int
    factor: float
    offset: Double


@kernel()
def add_record(worker, workers, numbers: Numbers, result, dtype):
    """Read the fields of a record by name, each of its own type."""
    total = np.float32(0)
    for i in range(numbers.count):
        total += get_float(numbers.at + i * 4)
    put_float(result, np.float32(total * numbers.factor + numbers.offset))


def test_a_kernel_reads_a_record_by_the_names_of_its_fields():
    values, result = torch.arange(5.0), torch.zeros(1)
    numbers = Numbers(at=values.data_ptr(), count=5, factor=0.5, offset=1e-3)
    add_record(1, numbers, result.data_ptr(), KIND)
    assert result.item() == pytest.approx(5.001, rel=1e-6)
