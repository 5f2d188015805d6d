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
    ScratchLayout,
    address,
    empty_rows,
    rows_of,
    streams,
)
from convatlas.kernels.layout.activations import ACTIVATIONS
from convatlas.kernels.layout.channels import LANES, SUMS_BYTES, TABLE_BYTES, padded, pitch
from convatlas.kernels.layout.plan import STREAM_BYTES
from convatlas.kernels.layout.records import (
    ChannelSums,
    InputGradient,
    NormedRows,
    NormNumbers,
    Prologue,
    ResultGradient,
    StatisticsPull,
)

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
        size = self.parts * self.padded * SUMS_BYTES
        self.scratch = Scratch(ScratchLayout(sums=size, table=self.padded * TABLE_BYTES))
        self.table, self.sums = self.scratch["table"], self.scratch["sums"]

    def with_act(self, act: tuple[int, float, float] = ACTIVATIONS["identity"]) -> NormedRows:
        """Return the rows, and the activation behind the norm."""
        return NormedRows(self.rows, self.channels, self.padded, self.table, *act)

    def numbers(self, weight, bias, stats: Tensor) -> NormNumbers:
        """Return the norm of the rows."""
        places = address(weight), address(bias), stats.data_ptr()
        return NormNumbers(self.table, self.padded, self.each, self.fold, *places)

    def added_up(self) -> ChannelSums:
        """Return the sums of all workers."""
        sizes = self.padded, self.each, self.fold, self.number
        return ChannelSums(self.sums, self.parts, *sizes, self.table)

    def streams(self, *outputs: Tensor) -> int:
        large = outputs[0].numel() * 4 > STREAM_BYTES and outputs[0].dtype == torch.float32
        return int(large and self.full and all(out.data_ptr() % 64 == 0 for out in outputs))


def statistics_of(x: Tensor, eps: float, running: Running = NOT_RUNNING) -> Tensor:
    """Return mean, unbiased variance and 1 / standard deviation of each channel, (3, c).

    The running ones follow them.
    """
    from convatlas.kernels.compiled import norm_rows

    rows, stats = _Rows(x), torch.empty(3, x.shape[1])
    norm_rows.find_statistics(
        rows.kind,
        (1, x.data_ptr(), rows.each, rows.fold, rows.table, rows.padded),
        (rows.parts, rows.with_act(), x.data_ptr(), rows.sums),
        (1, rows.added_up(), running.follow(stats, eps)),
    )
    rows.scratch.give_back()
    return stats


def normalised(
    x: Tensor, stats: Tensor, weight, bias, residual, act: tuple[int, float, float]
) -> Tensor:
    """Return act(norm(x) + residual) at given statistics."""
    from convatlas.kernels.compiled import norm_rows

    rows, y, extra = _Rows(x), empty_rows(x.shape, x.dtype), _same_format(residual)
    places = x.data_ptr(), address(extra), y.data_ptr()
    norm_rows.norm_act(
        rows.kind,
        (1, rows.numbers(weight, bias, stats)),
        (rows.parts, rows.with_act(act), *places, rows.streams(y)),
    )
    rows.scratch.give_back()
    return y


def forward(
    x: Tensor, weight, bias, residual, mean, var, eps: float, act: int, low: float, high: float
) -> tuple[Tensor, Tensor]:
    """Compute act(norm(x) + residual), and the statistics: those of x, or given ones."""
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
    """Compute gradients of x, scale and shift as rows, residual (empty: not wanted)."""
    from convatlas.kernels.compiled import norm_rows

    rows = _Rows(x)
    dy, extra = dy.contiguous(memory_format=torch.channels_last), _same_format(residual)
    dx, result = empty_rows(x.shape, x.dtype), torch.empty(2, x.shape[1])
    dextra = empty_rows(x.shape, x.dtype) if need_residual else None
    sides = (x.data_ptr(), address(extra), dy.data_ptr())
    stream = rows.streams(dx) if dextra is None else rows.streams(dx, dextra)
    normed = rows.with_act((act, low, high))
    norm_rows.norm_act_back(
        rows.kind,
        (1, rows.numbers(weight, bias, stats)),
        (rows.parts, normed, *sides, rows.sums),
        (1, rows.added_up(), int(batch), result.data_ptr()),
        (rows.parts, normed, *sides, dx.data_ptr(), address(dextra), stream),
    )
    rows.scratch.give_back()
    return dx, result, x.new_empty(0) if dextra is None else dextra


def statistics_back(dy: Tensor, dstats: Tensor, y: Tensor, stats: Tensor) -> Tensor:
    """Return dy, and what the gradients of mean and deviation pass back to each value of y."""
    from convatlas.kernels.compiled import norm_rows

    dy, channels = dy.contiguous(memory_format=torch.channels_last), y.shape[1]
    dx, whole, rows = empty_rows(y.shape), padded(channels), rows_of(y)
    scratch, dstats = Scratch(ScratchLayout(table=whole * TABLE_BYTES)), dstats.contiguous()
    table, places = scratch["table"], (dy.data_ptr(), y.data_ptr())
    pulled = dstats.data_ptr()
    given = ResultGradient(*places, channels, whole, pitch(channels), table, pulled)
    norm_rows.pass_statistics_back(
        KIND,
        (1, StatisticsPull(table, whole, channels, rows, stats.data_ptr(), pulled)),
        (torch.get_num_threads(), given, InputGradient(dx.data_ptr(), 0, streams(dx)), rows),
    )
    scratch.give_back()
    return dx


def normalised_back(
    dy: Tensor, x: Tensor, stats: Tensor, weight, bias, act: tuple[int, float, float]
) -> tuple[Tensor, Tensor]:
    """Return the gradient of x at fixed statistics, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import norm_rows

    dy = dy.contiguous(memory_format=torch.channels_last)
    channels, parts, rows = x.shape[1], torch.get_num_threads(), rows_of(x)
    dx, result, whole = empty_rows(x.shape), torch.empty(5, channels), padded(channels)
    scratch = Scratch(ScratchLayout(table=whole * TABLE_BYTES, sums=parts * whole * SUMS_BYTES))
    table, sums, places = scratch["table"], scratch["sums"], (address(weight), address(bias))
    norm = NormNumbers(table, whole, channels, 1, *places, stats.data_ptr())
    source = Prologue(x.data_ptr(), channels, whole, pitch(channels), table, 1, *act)
    target = InputGradient(dx.data_ptr(), sums, streams(dx))
    norm_rows.pass_back(
        KIND,
        (1, norm),
        (parts, dy.data_ptr(), source, target, rows),
        (
            1,
            ChannelSums(sums, parts, whole, channels, 1, rows, table),
            places[0],
            result.data_ptr(),
        ),
    )
    scratch.give_back()
    return dx, result
