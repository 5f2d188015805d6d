"""Memory, blocks and arguments of a fused depthwise convolution, forward and back."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from convatlas.kernels.launch.workspace import (
    KIND,
    Running,
    Scratch,
    Tables,
    Work,
    empty_rows,
    scratch_bytes,
    streams,
)
from convatlas.kernels.layout.activations import CLIP
from convatlas.kernels.layout.channels import LANES, padded, pitch
from convatlas.kernels.layout.plan import W_OFFSET, W_OUT, W_SIZE, backward_side
from convatlas.kernels.layout.records import FilterSizes
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


class _Pass(NamedTuple):
    """One way through a fused filter, found once: its filter, and how its work is cut."""

    filter: _Filter
    direct: bool  # strips write to the result, not to scratch memory
    work: Work
    x_bytes: int  # of a worker's rows in scratch memory, of the image
    dy_bytes: int  # and of the gradient of its result


@lru_cache(maxsize=1024)
def _forward_pass(shape, kernel, sizes, target, threads: int, stream: int) -> _Pass:
    images, channels, *source = shape
    layer = kernel, sizes, tuple(source), target, channels, False
    f = _filter_in_scratch(*layer, "stream" if stream else "direct")
    direct = channels % LANES == 0 and not f.plans.forward.plain
    if not direct:
        f = _filter_in_scratch(*layer, "parts")
    step, stride = pitch(channels), sizes[0][0]
    reach = sizes[2][0] * (kernel[0] - 1) + 1
    made = 0 if direct else f.made
    block = (scratch_bytes() // step - f.seen * reach) // (f.seen * stride + made)
    block = max(1, min(target[0], block))
    seen = step * f.seen * min(source[0], stride * block + reach)
    each, room = seen + step * max(1, made * block), math.prod(kernel) * padded(channels) * 4
    rows = images * math.prod(target)
    work = Work(threads, rows, block, each, (channels, channels), channels, packed=room)
    return _Pass(f, direct, work, seen, 0)


@lru_cache(maxsize=1024)
def _backward_pass(shape, kernel, sizes, target, threads: int, stream: int, clips: bool) -> _Pass:
    images, channels, *source = shape
    layer = kernel, sizes, tuple(source), target, channels, True
    f = _filter_in_scratch(*layer, "stream" if stream else "direct")
    direct = clips and channels % LANES == 0 and not f.plans.backward.plain
    if not direct:
        f = _filter_in_scratch(*layer, "parts")
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
    room, both = threads * math.prod(kernel) * padded(channels), (channels, channels)
    rows = images * math.prod(target)
    work = Work(threads, rows, block, each, both, channels, dw=room * 8, packed=room * 4)
    return _Pass(f, direct, work, seen, given)


def depthwise(x, weight, norm, eps, running: Running, act, sizes) -> tuple[Tensor, Tensor]:
    """Return the depthwise convolution of a normalised x, and the statistics of the result."""
    from convatlas.kernels.compiled import depthwise_fused as kernels

    target, kernel = output_sides(x.shape, weight.shape, *sizes), tuple(weight.shape[2:])
    y, stats = empty_rows((*x.shape[:2], *target)), torch.empty(3, x.shape[1])
    threads = torch.get_num_threads()
    f, direct, work, seen, _ = _forward_pass(x.shape, kernel, sizes, target, threads, streams(y))
    scratch, w = Scratch(work.layout), weight.contiguous()
    placed = work.place(scratch)
    tables = Tables(work, placed, x, norm, act, y)
    packed, left = placed.more["packed"], f.left * work.x_sizes[2]
    filter_sizes = FilterSizes(len(x), x.shape[3], target[1], left, 0, math.prod(kernel))
    both = f.plans.place, tables.x, tables.y(), filter_sizes
    convolve = kernels.convolve(f.plans.forward, direct)
    convolve(
        KIND,
        tables.filling(),
        (1, *both, w.data_ptr(), packed, placed.rows, seen),
        (work.parts, *both, packed, placed.blocks, seen),
        tables.statistics(stats, eps, running),
    )
    scratch.give_back()
    return y, stats


def depthwise_back(dy, dstats, x, y, weight, norm, stats, act, sizes, need_x):
    """Return gradients of x and of the weights, and the rows that `write_gradients` writes."""
    from convatlas.kernels.compiled import depthwise_fused as kernels

    dy, kernel = dy.contiguous(memory_format=torch.channels_last), tuple(weight.shape[2:])
    target, dx = tuple(dy.shape[2:]), empty_rows(x.shape) if need_x else None
    clips = norm[0] is not None and act[0] == CLIP
    layer = x.shape, kernel, sizes, target, torch.get_num_threads()
    passed = _backward_pass(*layer, 0 if dx is None else streams(dx), clips)
    f, direct, work, seen, given = passed
    scratch, w, taps = Scratch(work.layout), weight.contiguous(), math.prod(kernel)
    placed = work.place(scratch)
    tables = Tables(work, placed, x, norm, act, y)
    dw, result = torch.empty(weight.shape), torch.empty(5, x.shape[1])
    channels, whole, step = work.x_sizes
    sums, lefts = placed.more["dw"], (f.left * step, f.given_left * step)
    convolve_back = kernels.convolve_back(f.plans.sums, f.plans.backward, direct)
    convolve_back(
        KIND,
        tables.filling(stats, dstats),
        (
            work.parts,
            f.plans.place,
            tables.dy(dy, dstats),
            tables.x,
            tables.dx(dx),
            FilterSizes(len(x), x.shape[3], target[1], *lefts, taps),
            w.data_ptr(),
            placed.more["packed"],
            sums,
            placed.blocks,
            seen,
            seen + given,
        ),
        (work.parts, sums, work.parts, taps * whole * 8, channels, taps, whole, dw.data_ptr()),
        tables.gradients(result),
    )
    scratch.give_back()
    return dx, dw, result
