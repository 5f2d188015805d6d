"""The processes that train one network together: what they tell each other.

What decides about a run goes over a group on the CPU (gloo): it waits for no work of an
accelerator, and a process that is gone is noticed at once. Weights and gradients go over the group
that accelerate makes for the device (nccl on CUDA, gloo on the CPU).
"""

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from convatlas.errors import EndedByMain, UsageError
from convatlas.launched import process_count

Value = TypeVar("Value")

WAIT = datetime.timedelta(days=7)  # for the main process, which may test and export meanwhile
BUCKET_BYTES = 25 << 20  # of tensors that travel together, as in torch's DistributedDataParallel


class Processes:
    """The processes of a run, and which of them this is.

    Alone, each method returns what it was given and tells none.

    Args:
        number: of this process, from 0, which is the main one.
        count: of them all.
    """

    def __init__(self, number: int = 0, count: int = 1):
        self.number, self.count = number, count
        self.main, self.alone = number == 0, count == 1

    def rows(self, examples: int, at_least: int = 1) -> tuple[int, int]:
        """Return the first example of a batch that is this process's, and the end of them.

        Args:
            at_least: that a process takes; where a batch has too few for all, the last take none.
        """
        parts = max(1, min(self.count, examples // at_least))
        number = min(self.number, parts)
        ends = [examples * n // parts for n in range(parts + 1)] + [examples]
        return ends[number], ends[number + 1]

    def from_main(self, value: Value) -> Value:
        """Return what the main process has."""
        if self.alone:
            return value
        held = [value if self.main else None]
        dist.broadcast_object_list(held, src=0, group=_host_group())
        return held[0]  # pyright: ignore[reportReturnType]  # it came

    def main_does(self, work: Callable[[], Value]) -> Value | None:
        """Let the main process do something; return what it gave there, and None elsewhere.

        Raises:
            Exception: in the main process what `work` raises.
            EndedByMain: in the others, where it did.
        """
        if self.alone:
            return work()
        found: Value | None = None
        told: tuple[str, int] | None = None
        try:
            if self.main:
                found = work()
        except Exception as error:
            told = str(error), getattr(error, "exit_code", 1)
            self.from_main(told)
            raise
        told = self.from_main(told)
        if told is not None:
            raise EndedByMain(*told)
        return found

    def gathered(self, row: Sequence[float]) -> Tensor:
        """Return the numbers of all processes, a row each.

        Shape: m numbers -> (processes, m), double, on the CPU
        """
        own = torch.tensor(row, dtype=torch.float64)
        if self.alone:
            return own[None]
        rows = [torch.empty_like(own) for _ in range(self.count)]
        dist.all_gather(rows, own, group=_host_group())
        return torch.stack(rows)

    def all_of(self, items: Sequence[Value]) -> list[Value]:
        """Return the items of all processes, in their order."""
        if self.alone:
            return list(items)
        lists: list[Any] = [None] * self.count
        dist.all_gather_object(lists, list(items), group=_host_group())
        return [item for each in lists for item in each]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Set tensors to their sums over all processes."""
        if not self.alone:
            _in_buckets(tensors, dist.all_reduce)

    def take_from_main(self, tensors: Sequence[Tensor]) -> None:
        """Set tensors to those of the main process."""
        if not self.alone:
            _in_buckets(tensors, lambda flat: dist.broadcast(flat, src=0))


def processes() -> Processes:
    """Return the processes that were started together, after making their group.

    Raises:
        UsageError: accelerate was told to distribute a run in another way than this.
    """
    if process_count() == 1:
        return Processes()
    from accelerate import PartialState  # slow to import

    if not torch.accelerator.is_available():  # else accelerate would let each train alone
        os.environ["ACCELERATE_USE_CPU"] = "true"
    state = PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU") == "true")
    if state.num_processes != process_count() or not dist.is_initialized():
        raise UsageError(
            f"{process_count()} processes were started, and accelerate found "
            f"{state.num_processes} ({state.distributed_type}); start them with torchrun"
        )
    return Processes(state.process_index, state.num_processes)


def close_group() -> None:
    """Leave the group of processes, at the end of the program."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


@cache
def _host_group() -> Any:
    return dist.new_group(backend="gloo", timeout=WAIT)


@torch.no_grad()
def _in_buckets(tensors: Sequence[Tensor], send: Callable[[Tensor], Any]) -> None:
    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
        sent = flat.view(torch.uint8) if flat.dtype == torch.bool else flat
        send(sent)
        parts = flat.split([tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield tensors of one type of number, together about as many bytes as travel well."""
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        bucket, size = [], 0
        for tensor in (each for each in tensors if each.dtype == dtype):
            bucket.append(tensor)
            size += tensor.numel() * tensor.element_size()
            if size >= BUCKET_BYTES:
                yield bucket
                bucket, size = [], 0
        if bucket:
            yield bucket
