"""Memory, blocks and arguments of a fused 1x1 convolution, forward and back."""

import torch
from torch import Tensor

from convatlas.kernels.launch.workspace import (
    KIND,
    Running,
    Tables,
    address,
    empty_rows,
    rows_of,
    scratch_bytes,
    scratch_for,
    streams,
)
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import LANES, padded, pitch
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


def pointwise(
    x: Tensor, weight: Tensor, norm: tuple, eps: float, running: Running, act: tuple
) -> tuple[Tensor, Tensor]:
    """The 1x1 convolution of a unit and the statistics of its result."""
    from convatlas.kernels.compiled import pointwise as kernels

    rows, (n, k) = rows_of(x), weight.shape[:2]
    parts = min(rows, torch.get_num_threads())
    y, weight = empty_rows((x.shape[0], n, *x.shape[2:])), weight.contiguous()
    whole = n % LANES == 0
    block = _block(pitch(k) + (0 if whole else pitch(n)), -(-rows // parts))
    each = block * pitch(k) + (TILE_ROWS if whole else block) * pitch(n)
    scratch = scratch_for(parts, each, k, n, summed=n, panels=k * padded(n) * 4)
    tables, panels = Tables(scratch, norm, (k, n), parts, rows), scratch["panels"]
    stats = torch.empty(3, n)
    turn = (parts, *_matrix(weight, True), panels)
    pivots = (
        1,
        x.data_ptr(),
        k,
        n,
        panels,
        block,
        scratch["rows"],
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        *act[1:],
    )
    forward = (
        parts,
        x.data_ptr(),
        rows,
        k,
        n,
        panels,
        y.data_ptr(),
        streams(y),
        block,
        scratch["rows"],
        each,
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        tables.sums,
        *act[1:],
    )
    kernels.convolve(
        KIND, tables.filling(), turn, pivots, forward, tables.statistics(stats, eps, running)
    )
    scratch.give_back()
    return y, stats


def pointwise_back(dy, dstats, x, y, weight, norm, stats, act, need_x):
    """Gradients of x and of the weights, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import pointwise as kernels

    dy = dy.contiguous(memory_format=torch.channels_last)
    rows, (n, k) = rows_of(x), weight.shape[:2]
    parts = min(rows, torch.get_num_threads())
    dx = empty_rows(x.shape) if need_x else None
    whole = norm[0] is not None and act[0] == CLIP and k % LANES == 0
    block = _block(pitch(k) + pitch(n) + (0 if whole else pitch(k)), -(-rows // parts))
    each = block * (pitch(k) + pitch(n)) + (TILE_ROWS if whole else block) * pitch(k)
    sums_bytes = (n + TILE_ROWS - 1) * padded(k) * 4  # tiles write whole
    dw, weight, more = torch.empty(weight.shape), weight.contiguous(), n * padded(k) * 4
    scratch = scratch_for(parts, each, k, n, summed=k, dw=parts * sums_bytes, panels=more)
    tables = Tables(scratch, norm, (k, n), parts, rows, stats, dstats)
    sums, panels = scratch["dw"], scratch["panels"]
    result = torch.empty(5, k)
    turn = (parts, *_matrix(weight, False), panels)
    backward = (
        parts,
        dy.data_ptr(),
        y.data_ptr(),
        x.data_ptr(),
        address(dx),
        rows,
        k,
        n,
        panels,
        sums,
        0 if dx is None else streams(dx),
        block,
        scratch["rows"],
        each,
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        tables.sums,
        address(dstats),
        sums_bytes,
        *act[1:],
    )
    write = (parts, sums, parts, sums_bytes, n, k, dw.data_ptr())
    kernels.convolve_back(KIND, tables.filling(), turn, backward, write, tables.gradients(result))
    scratch.give_back()
    return dx, dw, result
