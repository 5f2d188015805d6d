"""Memory and arguments of a batch norm: whole, or its statistics and its scaling apart."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from convatlas.kernels.launch.workspace import (
    KIND,
    NOT_RUNNING,
    Running,
    Scratch,
    address,
    empty_rows,
    rows_of,
    streams,
)
from convatlas.kernels.layout.channels import LANES, SUMS_BYTES, TABLE_BYTES, padded
from convatlas.kernels.layout.plan import STREAM_BYTES

FOLDED = 512  # floats that a folded row may have: sums of this many stay in the L1 cache
_MARK = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}


@lru_cache(maxsize=1024)
def _fold(count: int, channels: int) -> int:
    """How many rows to take as one, so that vectors are full and sums stay near."""
    choices = [k for k in range(1, max(1, FOLDED // channels) + 1) if count % k == 0]
    whole = [k for k in choices if channels * k % LANES == 0]
    return max(whole or choices)


class _Rows:
    """A channels_last tensor as the kernels see it: rows, folded, and the work split."""

    def __init__(self, x: Tensor):
        channels = x.shape[1]
        count = x.numel() // channels
        self.fold = _fold(count, channels)
        self.each, self.number = channels, float(count)
        self.rows, self.channels = count // self.fold, channels * self.fold
        self.padded = (self.channels + LANES - 1) // LANES * LANES
        self.parts = torch.get_num_threads()
        self.kind = _MARK[x.dtype]
        self.full = self.padded == self.channels

    def scratch(self) -> Scratch:
        """Memory for sums and table."""
        sums = self.parts * self.padded * SUMS_BYTES
        return Scratch(sums=sums, table=self.padded * TABLE_BYTES)

    def streams(self, *outputs: Tensor) -> int:
        large = outputs[0].numel() * 4 > STREAM_BYTES and outputs[0].dtype == torch.float32
        return int(large and self.full and all(out.data_ptr() % 64 == 0 for out in outputs))


def statistics_of(x: Tensor, eps: float, running: Running = NOT_RUNNING) -> Tensor:
    """Mean, unbiased variance and 1 / standard deviation of each channel, (3, c).

    The running ones follow them.
    """
    from convatlas.kernels.compiled import norm_rows

    rows, stats = _Rows(x), torch.empty(3, x.shape[1])
    scratch, source, padded = rows.scratch(), x.data_ptr(), rows.padded
    table, sums = scratch["table"], scratch["sums"]
    pivots = (1, source, rows.each, rows.fold, table, padded)
    add_up = (rows.parts, source, rows.rows, rows.channels, table, padded, sums)
    write = (
        1,
        sums,
        rows.parts,
        padded,
        table,
        rows.each,
        rows.fold,
        rows.number,
        stats.data_ptr(),
        eps,
        *running.arguments(),
    )
    norm_rows.find_statistics(rows.kind, pivots, add_up, write)
    scratch.give_back()
    return stats


def normalised(
    x: Tensor, stats: Tensor, weight, bias, residual, act: tuple[int, float, float]
) -> Tensor:
    """act(norm(x) + residual) at given statistics."""
    from convatlas.kernels.compiled import norm_rows

    rows, y, extra = _Rows(x), empty_rows(x.shape, x.dtype), _same_format(residual)
    scratch = rows.scratch()
    table = scratch["table"]
    fill = (
        1,
        table,
        rows.padded,
        rows.each,
        rows.fold,
        address(weight),
        address(bias),
        stats.data_ptr(),
    )
    normalise = (
        rows.parts,
        x.data_ptr(),
        address(extra),
        y.data_ptr(),
        rows.rows,
        rows.channels,
        table,
        rows.padded,
        *act,
        rows.streams(y),
    )
    norm_rows.norm_act(rows.kind, fill, normalise)
    scratch.give_back()
    return y


def forward(
    x: Tensor, weight, bias, residual, mean, var, eps: float, act: int, low: float, high: float
) -> tuple[Tensor, Tensor]:
    """act(norm(x) + residual), and the statistics: those of x, or given ones."""
    if mean is None:
        stats = statistics_of(x, eps)
    else:
        stats = torch.stack((mean, var, (var.double() + eps).rsqrt().float()))
    return normalised(x, stats, weight, bias, residual, (act, low, high)), stats


def _same_format(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous(memory_format=torch.channels_last)


def backward(
    dy: Tensor,
    x: Tensor,
    weight,
    bias,
    residual,
    stats: Tensor,
    act: int,
    low: float,
    high: float,
    batch: bool,
    need_residual: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, of scale and shift as rows, and of the residual (empty: not wanted)."""
    from convatlas.kernels.compiled import norm_rows

    rows = _Rows(x)
    dy, extra = dy.contiguous(memory_format=torch.channels_last), _same_format(residual)
    dx = empty_rows(x.shape, x.dtype)
    dextra = empty_rows(x.shape, x.dtype) if need_residual else None
    scratch, result = rows.scratch(), torch.empty(2, x.shape[1])
    table, sums, padded = scratch["table"], scratch["sums"], rows.padded
    sides = (x.data_ptr(), address(extra), dy.data_ptr())
    stream = rows.streams(dx) if dextra is None else rows.streams(dx, dextra)
    fill = (
        1,
        table,
        padded,
        rows.each,
        rows.fold,
        address(weight),
        address(bias),
        stats.data_ptr(),
    )
    add_up = (
        rows.parts,
        *sides,
        rows.rows,
        rows.channels,
        table,
        padded,
        sums,
        act,
        low,
        high,
    )
    pulls = (
        1,
        sums,
        rows.parts,
        padded,
        table,
        rows.each,
        rows.fold,
        rows.number,
        int(batch),
        result.data_ptr(),
    )
    write = (
        rows.parts,
        *sides,
        dx.data_ptr(),
        address(dextra),
        rows.rows,
        rows.channels,
        table,
        padded,
        act,
        low,
        high,
        stream,
    )
    norm_rows.norm_act_back(rows.kind, fill, add_up, pulls, write)
    scratch.give_back()
    return dx, result, x.new_empty(0) if dextra is None else dextra


def statistics_back(dy: Tensor, dstats: Tensor, y: Tensor, stats: Tensor) -> Tensor:
    """dy, and what the gradients of mean and deviation pass back to each value of y."""
    from convatlas.kernels.compiled import norm_halves

    dy, channels = dy.contiguous(memory_format=torch.channels_last), y.shape[1]
    dx, whole, rows = empty_rows(y.shape), padded(channels), rows_of(y)
    scratch, dstats = Scratch(table=whole * TABLE_BYTES), dstats.contiguous()
    table = scratch["table"]
    fill = (1, table, whole, channels, rows, stats.data_ptr(), dstats.data_ptr())
    back = (
        torch.get_num_threads(),
        dy.data_ptr(),
        y.data_ptr(),
        dx.data_ptr(),
        rows,
        channels,
        whole,
        table,
        streams(dx),
    )
    norm_halves.pass_statistics_back(KIND, fill, back)
    scratch.give_back()
    return dx


def normalised_back(
    dy: Tensor, x: Tensor, stats: Tensor, weight, bias, act: tuple[int, float, float]
) -> tuple[Tensor, Tensor]:
    """The gradient of x at fixed statistics, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import norm_halves

    dy = dy.contiguous(memory_format=torch.channels_last)
    channels, parts = x.shape[1], torch.get_num_threads()
    dx, result = empty_rows(x.shape), torch.empty(5, channels)
    whole = padded(channels)
    scratch = Scratch(table=whole * TABLE_BYTES, sums=parts * whole * SUMS_BYTES)
    table, sums = scratch["table"], scratch["sums"]
    fill = (1, table, whole, channels, 1, address(weight), address(bias), stats.data_ptr())
    back = (
        parts,
        dy.data_ptr(),
        x.data_ptr(),
        dx.data_ptr(),
        rows_of(x),
        channels,
        whole,
        table,
        sums,
        act[0],
        streams(dx),
        *act[1:],
    )
    write = (1, sums, parts, whole, table, channels, address(weight), result.data_ptr())
    norm_halves.pass_back(KIND, fill, back, write)
    scratch.give_back()
    return dx, result
