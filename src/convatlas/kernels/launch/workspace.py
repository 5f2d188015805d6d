"""The memory of a fused convolution: tables of both its sides, and sums of its workers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from convatlas.kernels.layout.channels import LANES, SUMS_BYTES, TABLE_BYTES, padded, pitch
from convatlas.kernels.layout.plan import STREAM_BYTES
from convatlas.kernels.layout.records import (
    Blocks,
    ChannelSums,
    InputGradient,
    NormNumbers,
    Prologue,
    Result,
    ResultGradient,
    Statistics,
    StatisticsPull,
)
from convatlas.kernels.runtime.hardware import cache_bytes

KIND = np.float32(0)


def empty_rows(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Make a channels_last map without values.

    With cold caches `torch.empty` takes twice as long, for it finds a format's steps itself.
    """
    _, channels, height, width = shape
    steps = (height * width * channels, 1, width * channels, channels)
    return torch.empty_strided(shape, steps, dtype=dtype)


def address(tensor: Tensor | None) -> int:
    """Return where the tensor lies; 0: there is none."""
    return 0 if tensor is None else tensor.data_ptr()


def rows_of(x: Tensor) -> int:
    """Count its rows of channels."""
    return x.numel() // x.shape[1]


def streams(*tensors: Tensor) -> int:
    """Return whether to write around the caches: large, and every row starts at a line."""
    large = tensors[0].numel() * 4 > STREAM_BYTES and tensors[0].shape[1] % LANES == 0
    return int(large and all(t.data_ptr() % 64 == 0 for t in tensors))


def scratch_bytes() -> int:
    """Return a worker's share, two thirds of a core's cache: weights are read seldom."""
    return cache_bytes() * 2 // 3


class Running(NamedTuple):
    """Running statistics of a batch norm, float32, which follow those of a batch."""

    mean: Tensor | None
    var: Tensor | None
    counted: Tensor | None  # the batches so far, int64
    momentum: float

    def follow(self, stats: Tensor, eps: float) -> Statistics:
        """Return where statistics are written, and these after them."""
        return Statistics(
            stats.data_ptr(),
            eps,
            address(self.mean),
            address(self.var),
            address(self.counted),
            self.momentum,
        )


NOT_RUNNING = Running(None, None, None, 0.0)


class ScratchLayout:
    """Where each piece of a kernel's scratch memory begins, and how much there is in all."""

    def __init__(self, **sizes: int):
        self.places, self.total = {}, 64  # a line to begin at a line
        at = 0
        for name, size in sizes.items():
            self.places[name] = at
            at += -(-size // 64) * 64
        self.total += at


class Scratch:
    """One piece of memory for everything a kernel needs beside its tensors."""

    def __init__(self, layout: ScratchLayout):
        self.places, self.memory = layout.places, borrow(layout.total)
        self.start = -(-self.memory.data_ptr() // 64) * 64

    def __getitem__(self, name: str) -> int:
        return self.start + self.places[name]

    def give_back(self) -> None:
        """Leave the memory to the next call."""
        give_back(self.memory)


MAX_PLACES = 8  # of scratch memory that a Work remembers


class Work:
    """What all calls of one fused convolution share, found once: with cold caches Python is slow.

    Args:
        parts: workers at most.
        rows: of the result.
        block: rows of a block.
        each: bytes of a worker's rows in scratch memory.
        channels: of x and of y.
        summed: channels whose sums the workers keep.
        more: further pieces of scratch memory, in bytes.
    """

    def __init__(
        self,
        parts: int,
        rows: int,
        block: int,
        each: int,
        channels: tuple[int, int],
        summed: int,
        **more: int,
    ):
        self.parts, self.rows, self.block, self.each = parts, rows, block, each
        self.x_sizes, self.y_sizes = ((c, padded(c), pitch(c)) for c in channels)
        self.layout = ScratchLayout(
            **more,
            rows=parts * each,
            table_x=padded(channels[0]) * TABLE_BYTES,
            table_y=padded(channels[1]) * TABLE_BYTES,
            sums=parts * padded(summed) * SUMS_BYTES,
        )
        self.placed: dict[int, Placed] = {}

    def place(self, scratch: Scratch) -> "Placed":
        """Return what depends on where the scratch memory lies: mostly where it lay before."""
        known = self.placed.get(scratch.start)
        if known is None:
            if len(self.placed) >= MAX_PLACES:
                self.placed.clear()
            known = self.placed[scratch.start] = Placed(self, scratch)
        return known


class Placed:
    """The records of a Work that hold no address of a tensor."""

    def __init__(self, work: Work, scratch: Scratch):
        self.table_x, self.table_y = scratch["table_x"], scratch["table_y"]
        self.sums, self.rows = scratch["sums"], scratch["rows"]
        self.blocks = Blocks(work.rows, work.block, self.rows, work.each)
        self.x_sums = self._sums(work, work.x_sizes, self.table_x)
        self.y_sums = self._sums(work, work.y_sizes, self.table_y)
        self.more = {name: scratch[name] for name in work.layout.places}

    def _sums(self, work: Work, sizes: tuple[int, int, int], table: int) -> ChannelSums:
        channels, whole, _ = sizes
        return ChannelSums(self.sums, work.parts, whole, channels, 1, work.rows, table)


class Tables:
    """Both sides of a convolution: their tables, and the sums of its workers, in scratch memory.

    x is the side that is normalised on the way in, y the one whose statistics are wanted.
    """

    def __init__(self, work: Work, placed: Placed, x: Tensor, norm: tuple, act: tuple, y: Tensor):
        """norm: statistics, scale and shift of the norm before x, or three times None."""
        self.work, self.placed, self.result = work, placed, y
        stats, scale, shift = norm
        self.stats_x, self.weight, self.bias = address(stats), address(scale), address(shift)
        self.x = Prologue(x.data_ptr(), *work.x_sizes, placed.table_x, self.stats_x, *act)

    def filling(self, stats: Tensor | None = None, dstats: Tensor | None = None) -> tuple:
        """Return a call of `fill_tables`; stats and their gradient: of y, on the way back."""
        work, placed = self.work, self.placed
        channels, whole, _ = work.x_sizes
        numbers = self.weight, self.bias, self.stats_x
        norm = NormNumbers(placed.table_x, whole, channels, 1, *numbers)
        channels, whole, _ = work.y_sizes
        pulled = address(stats), address(dstats)
        pull = StatisticsPull(placed.table_y, whole, channels, work.rows, *pulled)
        return min(2, work.parts), norm, pull

    def y(self) -> Result:
        """Return the side that is written."""
        y, placed = self.result, self.placed
        place, beyond = y.data_ptr(), streams(y)
        return Result(place, *self.work.y_sizes, placed.table_y, placed.sums, beyond)

    def statistics(self, stats: Tensor, eps: float, running: Running) -> tuple:
        """Return a call of `write_statistics`: those of y, which the running ones follow."""
        return 1, self.placed.y_sums, running.follow(stats, eps)

    def dy(self, dy: Tensor, dstats: Tensor | None) -> ResultGradient:
        """Return the gradient of y."""
        places, pulled = (dy.data_ptr(), self.result.data_ptr()), address(dstats)
        return ResultGradient(*places, *self.work.y_sizes, self.placed.table_y, pulled)

    def dx(self, dx: Tensor | None) -> InputGradient:
        """Return the gradient of x; None: not wanted."""
        return InputGradient(address(dx), self.placed.sums, 0 if dx is None else streams(dx))

    def gradients(self, result: Tensor) -> tuple:
        """Return a call of `write_gradients`, if x is normalised.

        Rows of the result: for scale, shift, mean, variance and 1 / deviation.
        """
        return 1 if self.stats_x else 0, self.placed.x_sums, self.weight, result.data_ptr()


MAX_KEPT_BYTES = 32 << 20  # larger pieces are not kept
_spare: list[Tensor] = []  # as many as calls have ever run at once


def borrow(size: int) -> Tensor:
    """Hand out at least that many bytes, for one call alone until it gives them back."""
    found = _spare.pop() if _spare else None
    if found is None or found.numel() < size:
        found = torch.empty(size, dtype=torch.uint8)
    return found


def give_back(memory: Tensor) -> None:
    """Leave memory to the next call."""
    if memory.numel() <= MAX_KEPT_BYTES:
        _spare.append(memory)
