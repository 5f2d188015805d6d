"""Memory, blocks and arguments of a fused 1x1 convolution, forward and back."""

from functools import lru_cache

import torch
from torch import Tensor

from convatlas.kernels.launch.workspace import (
    KIND,
    Running,
    Scratch,
    Tables,
    Work,
    empty_rows,
    rows_of,
    scratch_bytes,
)
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import LANES, padded, pitch
from convatlas.kernels.layout.records import Panels, WeightGradient
from convatlas.kernels.layout.tile_sizes import TILE_ROWS

MAX_ROWS = 192  # of a block


def _matrix(weight: Tensor, columns_first: bool) -> tuple[int, ...]:
    """Weights (n, k) as the product wants them packed: k steps of n columns, or n steps of k.

    Their address, steps, columns, and the bytes from one to the next of each.
    """
    n, k = weight.shape[:2]
    if columns_first:
        return weight.data_ptr(), k, n, 4, 4 * k
    return weight.data_ptr(), n, k, 4 * k, 4


def _block(bytes_a_row: int, rows: int) -> int:
    most = max(TILE_ROWS, min(MAX_ROWS, scratch_bytes() // bytes_a_row))
    even = -(-rows // -(-rows // most))
    return -(-even // TILE_ROWS) * TILE_ROWS


@lru_cache(maxsize=1024)
def _forward_work(rows: int, k: int, n: int, threads: int) -> Work:
    """How the product of (rows, k) with (k, n) is cut."""
    parts, whole = min(rows, threads), n % LANES == 0
    block = _block(pitch(k) + (0 if whole else pitch(n)), -(-rows // parts))
    each = block * pitch(k) + (TILE_ROWS if whole else block) * pitch(n)
    return Work(parts, rows, block, each, (k, n), n, panels=k * padded(n) * 4)


@lru_cache(maxsize=1024)
def _backward_work(rows: int, k: int, n: int, threads: int, whole: bool) -> Work:
    """The same on the way back; whole: tiles write straight to the gradient of x."""
    parts = min(rows, threads)
    block = _block(pitch(k) + pitch(n) + (0 if whole else pitch(k)), -(-rows // parts))
    each = block * (pitch(k) + pitch(n)) + (TILE_ROWS if whole else block) * pitch(k)
    sums = parts * _sums_bytes(n, k)
    return Work(parts, rows, block, each, (k, n), k, dw=sums, panels=n * padded(k) * 4)


def _sums_bytes(n: int, k: int) -> int:
    """Of a worker's weight gradient: tiles write whole."""
    return (n + TILE_ROWS - 1) * padded(k) * 4


def pointwise(
    x: Tensor, weight: Tensor, norm: tuple, eps: float, running: Running, act: tuple
) -> tuple[Tensor, Tensor]:
    """Return the 1x1 convolution of a normalised x, and the statistics of the result."""
    from convatlas.kernels.compiled import pointwise as kernels

    n, k = weight.shape[:2]
    work = _forward_work(rows_of(x), k, n, torch.get_num_threads())
    y, weight = empty_rows((x.shape[0], n, *x.shape[2:])), weight.contiguous()
    scratch, stats, parts = Scratch(work.layout), torch.empty(3, n), work.parts
    placed = work.place(scratch)
    tables = Tables(work, placed, x, norm, act, y)
    panels = Panels(placed.more["panels"], k, work.y_sizes[1] // LANES)
    both = tables.x, tables.y(), panels, placed.blocks
    kernels.convolve(
        KIND,
        tables.filling(),
        (parts, *_matrix(weight, True), panels.at),
        (1, *both),
        (parts, *both),
        tables.statistics(stats, eps, running),
    )
    scratch.give_back()
    return y, stats


def pointwise_back(dy, dstats, x, y, weight, norm, stats, act, need_x):
    """Return gradients of x and of the weights, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import pointwise as kernels

    dy, (n, k) = dy.contiguous(memory_format=torch.channels_last), weight.shape[:2]
    whole = norm[0] is not None and act[0] == CLIP and k % LANES == 0
    work = _backward_work(rows_of(x), k, n, torch.get_num_threads(), whole)
    dx = empty_rows(x.shape) if need_x else None
    dw, result, weight = torch.empty(weight.shape), torch.empty(5, k), weight.contiguous()
    scratch, parts = Scratch(work.layout), work.parts
    placed = work.place(scratch)
    tables = Tables(work, placed, x, norm, act, y)
    panels = Panels(placed.more["panels"], n, work.x_sizes[1] // LANES)
    sums = WeightGradient(placed.more["dw"], _sums_bytes(n, k))
    kernels.convolve_back(
        KIND,
        tables.filling(stats, dstats),
        (parts, *_matrix(weight, False), panels.at),
        (parts, tables.dy(dy, dstats), tables.x, tables.dx(dx), panels, sums, placed.blocks),
        (parts, sums, parts, n, k, dw.data_ptr()),
        tables.gradients(result),
    )
    scratch.give_back()
    return dx, dw, result
