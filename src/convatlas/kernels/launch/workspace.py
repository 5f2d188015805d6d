"""The memory of a fused convolution: tables of both its sides, and sums of its workers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from convatlas.kernels.layout.channels import LANES, SUMS_BYTES, TABLE_BYTES, padded
from convatlas.kernels.layout.plan import STREAM_BYTES
from convatlas.kernels.runtime.hardware import cache_bytes

KIND = np.float32(0)


def empty_rows(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """A channels_last map without values.

    With cold caches `torch.empty` takes twice as long, for it finds a format's steps itself.
    """
    _, channels, height, width = shape
    steps = (height * width * channels, 1, width * channels, channels)
    return torch.empty_strided(shape, steps, dtype=dtype)


def address(tensor: Tensor | None) -> int:
    """Where the tensor lies; 0: there is none."""
    return 0 if tensor is None else tensor.data_ptr()


def rows_of(x: Tensor) -> int:
    """How many rows of channels it has."""
    return x.numel() // x.shape[1]


def streams(*tensors: Tensor) -> int:
    """Whether to write around the caches: large, and every row starts at a line."""
    large = tensors[0].numel() * 4 > STREAM_BYTES and tensors[0].shape[1] % LANES == 0
    return int(large and all(t.data_ptr() % 64 == 0 for t in tensors))


def scratch_bytes() -> int:
    """Of a worker: two thirds of a core's cache, so that weights are read seldom."""
    return cache_bytes() * 2 // 3


class Running(NamedTuple):
    """Running statistics of a batch norm, float32, which follow those of a batch."""

    mean: Tensor | None
    var: Tensor | None
    counted: Tensor | None  # the batches so far, int64
    momentum: float

    def arguments(self) -> tuple[int, int, int, float]:
        """As `write_statistics` takes them."""
        return address(self.mean), address(self.var), address(self.counted), self.momentum


NOT_RUNNING = Running(None, None, None, 0.0)


class Scratch:
    """One piece of memory for everything a kernel needs beside its tensors."""

    def __init__(self, **sizes: int):
        self.places, total = {}, 0
        for name, size in sizes.items():
            self.places[name] = total
            total += -(-size // 64) * 64
        self.memory = borrow(total + 64)
        self.start = -(-self.memory.data_ptr() // 64) * 64

    def __getitem__(self, name: str) -> int:
        return self.start + self.places[name]

    def give_back(self) -> None:
        """Leave the memory to the next call."""
        give_back(self.memory)


def scratch_for(
    parts: int, each: int, x_channels: int, y_channels: int, summed: int, **more: int
) -> Scratch:
    """For the rows, tables and sums of a convolution's workers, of `each` bytes of rows."""
    return Scratch(
        **more,
        rows=parts * each,
        table_x=padded(x_channels) * TABLE_BYTES,
        table_y=padded(y_channels) * TABLE_BYTES,
        sums=parts * padded(summed) * SUMS_BYTES,
    )


class Tables:
    """The tables of both sides of a convolution, and the sums of its workers, in scratch memory.

    x is the side that is normalised on the way in, y the one whose statistics are wanted.
    """

    def __init__(
        self,
        scratch: Scratch,
        norm: tuple,
        channels: tuple[int, int],
        parts: int,
        rows: int,
        stats: Tensor | None = None,
        dstats: Tensor | None = None,
    ):
        """channels: of x and of y; stats and dstats: of y and their gradient, on the way back."""
        self.parts, self.rows = parts, rows
        self.x, self.y, self.sums = scratch["table_x"], scratch["table_y"], scratch["sums"]
        self.x_channels, self.y_channels = channels
        self.stats_x, self.weight, self.bias = map(address, norm)
        self.stats, self.dstats = address(stats), address(dstats)

    def filling(self) -> tuple[int, ...]:
        """A call of `fill_tables`."""
        x, y = self.x_channels, self.y_channels
        return (
            min(2, self.parts),
            self.x,
            padded(x),
            x,
            self.weight,
            self.bias,
            self.stats_x,
            self.y,
            padded(y),
            y,
            self.rows,
            self.stats,
            self.dstats,
        )

    def statistics(self, stats: Tensor, eps: float, running: Running) -> tuple:
        """A call of `write_statistics`: those of y, which the running ones follow."""
        channels = self.y_channels
        return (
            1,
            self.sums,
            self.parts,
            padded(channels),
            self.y,
            channels,
            1,
            self.rows,
            stats.data_ptr(),
            eps,
            *running.arguments(),
        )

    def gradients(self, result: Tensor) -> tuple:
        """A call of `write_gradients`, if x is normalised.

        Rows of the result: for scale, shift, mean, variance and 1 / deviation.
        """
        channels = self.x_channels
        return (
            1 if self.stats_x else 0,
            self.sums,
            self.parts,
            padded(channels),
            self.x,
            channels,
            self.weight,
            result.data_ptr(),
        )


MAX_KEPT_BYTES = 32 << 20  # larger pieces are not kept
_spare: list[Tensor] = []  # as many as calls have ever run at once


def borrow(size: int) -> Tensor:
    """At least that many bytes, for one call alone until it gives them back."""
    found = _spare.pop() if _spare else None
    if found is None or found.numel() < size:
        found = torch.empty(size, dtype=torch.uint8)
    return found


def give_back(memory: Tensor) -> None:
    """Leave memory to the next call."""
    if memory.numel() <= MAX_KEPT_BYTES:
        _spare.append(memory)
