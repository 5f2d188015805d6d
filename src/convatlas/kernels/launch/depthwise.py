"""Memory, blocks and arguments of a fused depthwise convolution, forward and back."""

import math
from functools import lru_cache
from typing import NamedTuple

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
from convatlas.kernels.layout.plan import W_OFFSET, W_OUT, W_SIZE, backward_side
from convatlas.kernels.layout.tile_sizes import COLUMNS, WIDE
from convatlas.kernels.layout.variants import Plans, output_sides, plans_of


class _Filter(NamedTuple):
    """A depthwise filter in scratch memory: its plans, and the columns of each row there."""

    plans: Plans
    left: int  # columns of zeros before the image, and before the gradient of its result
    given_left: int
    seen: int  # columns of the image with its zeros
    made: int  # of the result; on the way back in whole tiles
    given: int  # of the result's gradient with its zeros
    passed: int  # of the image's gradient


def _whole_tiles(columns: int, taps: int) -> int:
    if columns % WIDE == 0 and taps in (3, 5):
        return columns
    return (columns + COLUMNS - 1) // COLUMNS * COLUMNS


@lru_cache(maxsize=1024)
def _filter_in_scratch(kernel, sizes, source, target, channels, back: bool, way: str) -> _Filter:
    """How a filter runs where rows are as long as its tiles would like them.

    way: "parts" writes into scratch memory, too, "direct" to the result, and "stream" to the result
    around the caches.
    """
    direct = way != "parts"
    (_, stride), (_, left), (_, dilation) = sizes
    width, columns, step = source[1], target[1], pitch(channels) // 4
    made, passed = _whole_tiles(columns, kernel[1]) if back else columns, -(-width // stride)
    seen = max(left + width, stride * (made - 1) + dilation * (kernel[1] - 1) + 1)
    sides = list(backward_side(width, columns, kernel[1], stride, left, dilation))
    offsets = [side[3] for _, _, side in sides if side[5]]
    ends = [side[3] + (side[5] - 1) * side[4] for _, _, side in sides if side[5]]
    given_left = max([0, *(-offset for offset in offsets)])
    given = given_left + max([made, *(passed + end for end in ends)])
    before = (0, 1, seen * step, step)
    beside = channels if direct else step
    after = (0, 1, given * step, step) if back else (0, 1, made * beside, beside)
    gradient = (0, 1, width * channels, channels)
    if not direct:
        gradient = (0, 1, passed * stride * step, step)
    plans = plans_of(
        (kernel, *sizes),
        source,
        target,
        (before, after, gradient),
        4,
        padded(channels),
        way == "stream",
        True,
    )
    rows = plans.rows.copy()
    rows[0, [W_SIZE, W_OFFSET, W_OUT]] = seen, 0, made
    rows[1:, W_SIZE] = given
    if not direct:
        rows[1:, W_OUT] = passed
    rows[1:, W_OFFSET] += given_left
    plans = Plans.of(rows, *plans[1:4])
    return _Filter(plans, left, given_left, seen, made, given, passed * stride)


def depthwise(x, weight, norm, eps, running: Running, act, sizes) -> tuple[Tensor, Tensor]:
    """The depthwise convolution of a unit and the statistics of its result."""
    from convatlas.kernels.compiled import depthwise_fused as kernels

    source, target = tuple(x.shape[2:]), output_sides(x.shape, weight.shape, *sizes)
    (images, channels), parts = x.shape[:2], torch.get_num_threads()
    y = empty_rows((images, channels, *target))
    stream, kernel = streams(y), tuple(weight.shape[2:])
    way = "stream" if stream else "direct"
    f = _filter_in_scratch(kernel, sizes, source, target, channels, False, way)
    direct = channels % LANES == 0 and not f.plans.forward.plain
    if not direct:
        f = _filter_in_scratch(kernel, sizes, source, target, channels, False, "parts")
    step, stride = pitch(channels), sizes[0][0]
    reach = sizes[2][0] * (weight.shape[2] - 1) + 1
    made = 0 if direct else f.made
    block = (scratch_bytes() // step - f.seen * reach) // (f.seen * stride + made)
    block = max(1, min(target[0], block))
    seen = step * f.seen * min(source[0], stride * block + reach)
    each, taps, w = seen + step * max(1, made * block), math.prod(kernel), weight.contiguous()
    more = taps * padded(channels) * 4
    scratch = scratch_for(parts, each, channels, channels, summed=channels, packed=more)
    tables = Tables(scratch, norm, (channels, channels), parts, rows_of(y))
    packed = scratch["packed"]
    stats = torch.empty(3, channels)
    pivots = (
        1,
        *f.plans.place,
        x.data_ptr(),
        w.data_ptr(),
        taps,
        packed,
        source[1],
        f.left * step,
        channels,
        padded(channels),
        scratch["rows"],
        seen,
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        *act[1:],
    )
    forward = (
        parts,
        *f.plans.place,
        x.data_ptr(),
        packed,
        y.data_ptr(),
        images,
        source[1],
        target[1],
        f.left * step,
        channels,
        padded(channels),
        block,
        scratch["rows"],
        each,
        seen,
        stream,
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        tables.sums,
        *act[1:],
    )
    convolve = kernels.convolve(f.plans.forward, direct)
    convolve(KIND, tables.filling(), pivots, forward, tables.statistics(stats, eps, running))
    scratch.give_back()
    return y, stats


def depthwise_back(dy, dstats, x, y, weight, norm, stats, act, sizes, need_x):
    """Gradients of x and of the weights, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import depthwise_fused as kernels

    dy = dy.contiguous(memory_format=torch.channels_last)
    (images, channels, *source), target = x.shape, tuple(dy.shape[2:])
    parts, kernel = torch.get_num_threads(), tuple(weight.shape[2:])
    dx = empty_rows(x.shape) if need_x else None
    stream = 0 if dx is None else streams(dx)
    f = _filter_in_scratch(
        kernel, sizes, tuple(source), target, channels, True, "stream" if stream else "direct"
    )
    clips = norm[0] is not None and act[0] == CLIP
    direct = clips and channels % LANES == 0 and not f.plans.backward.plain
    if not direct:
        f = _filter_in_scratch(kernel, sizes, tuple(source), target, channels, True, "parts")
    step, stride = pitch(channels), sizes[0][0]
    reach = sizes[2][0] * (kernel[0] - 1) + 1
    length = max(target[0], -(-source[0] // stride))
    rest = (f.seen + 2 * f.given) * reach
    passed = 0 if direct else f.passed
    block = (scratch_bytes() // step - rest) // ((f.seen + passed) * stride + f.given)
    block = max(1, min(length, block))
    seen = step * f.seen * min(source[0], stride * block + reach)
    given = step * f.given * min(target[0], block + 2 * reach)
    each = seen + given + step * passed * stride * block
    taps, w, whole = math.prod(kernel), weight.contiguous(), padded(channels)
    dw, more = torch.empty(weight.shape), parts * taps * whole
    scratch = scratch_for(
        parts, each, channels, channels, summed=channels, dw=more * 8, packed=more * 4
    )
    tables = Tables(scratch, norm, (channels, channels), parts, rows_of(y), stats, dstats)
    sums = scratch["dw"]
    result = torch.empty(5, channels)
    backward = (
        parts,
        *f.plans.place,
        dy.data_ptr(),
        y.data_ptr(),
        x.data_ptr(),
        w.data_ptr(),
        taps,
        scratch["packed"],
        address(dx),
        sums,
        images,
        source[1],
        target[1],
        f.left * step,
        f.given_left * step,
        channels,
        padded(channels),
        block,
        scratch["rows"],
        each,
        seen,
        seen + given,
        stream,
        act[0],
        tables.stats_x,
        tables.x,
        tables.y,
        tables.sums,
        address(dstats),
        *act[1:],
    )
    write = (parts, sums, parts, taps * whole * 8, channels, taps, whole, dw.data_ptr())
    convolve_back = kernels.convolve_back(f.plans.sums, f.plans.backward, direct)
    convolve_back(KIND, tables.filling(), backward, write, tables.gradients(result))
    scratch.give_back()
    return dx, dw, result
