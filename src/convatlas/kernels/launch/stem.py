"""Memory, blocks and arguments of the first convolution of a network, forward and back."""

import math

import torch
from torch import Tensor, nn

from convatlas.kernels.launch.pointwise import MAX_ROWS
from convatlas.kernels.launch.workspace import (
    KIND,
    Running,
    Scratch,
    ScratchLayout,
    address,
    empty_rows,
    rows_of,
    streams,
)
from convatlas.kernels.layout.channels import LANES, SUMS_BYTES, TABLE_BYTES, padded, pitch
from convatlas.kernels.layout.records import (
    Blocks,
    ChannelSums,
    Image,
    Panels,
    Result,
    ResultGradient,
    StatisticsPull,
    WeightGradient,
)
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.layout.variants import output_sides

MAX_STEM_TAPS = 256  # a filter has at most this many taps, so its lines stay in a core's cache


def fits_stem(x: Tensor, conv: nn.Conv2d) -> bool:
    """Return whether the kernels know this convolution of an image that needs no gradient."""
    few = conv.groups == 1 and math.prod(conv.weight.shape[1:]) <= MAX_STEM_TAPS
    plain = conv.dilation == (1, 1) and conv.stride in ((1, 1), (2, 2))
    return few and plain and not x.requires_grad


class _Patches:
    """The sizes of a convolution, and its scratch memory."""

    def __init__(self, x: Tensor, weight: Tensor, sizes: tuple, **more: int):
        (stride, _), padding, _ = sizes
        (images, channels, height, width), taps = x.shape, weight.shape[2:]
        sides = self.out_sides = output_sides(x.shape, weight.shape, *sizes)
        of_image = x.data_ptr(), images, channels, height, width
        filters = taps[0], taps[1], stride
        self.image = Image(*of_image, *filters, padding[0], padding[1], *sides)
        self.n, self.steps = weight.shape[0], math.prod(weight.shape[1:])
        block = min(sides[0], max(1, MAX_ROWS // sides[1]))
        self.parts = min(-(-sides[0] // block) * images, torch.get_num_threads())
        count = block * sides[1]
        self.pitch = pitch(count + TILE_ROWS)  # a tile may read, and a line may write, beyond it
        self.lines = self.pitch * (self.steps + TILE_ROWS)
        each = self.lines + (count + TILE_ROWS) * pitch(self.n)
        self.scratch = Scratch(
            ScratchLayout(
                rows=self.parts * each,
                table=padded(self.n) * TABLE_BYTES,
                sums=self.parts * padded(self.n) * SUMS_BYTES,
                **more,
            )
        )
        self.table = self.scratch["table"]
        self.blocks = Blocks(images * sides[0], block, self.scratch["rows"], each)


def stem(
    x: Tensor, weight: Tensor, eps: float, running: Running, sizes: tuple
) -> tuple[Tensor, Tensor]:
    """Return the convolution of an image, and the statistics of its result."""
    from convatlas.kernels.compiled import stem as kernels

    x, weight, whole = x.contiguous(), weight.contiguous(), padded(weight.shape[0])
    p = _Patches(x, weight, sizes, panels=math.prod(weight.shape[1:]) * whole * 4)
    y, stats = empty_rows((len(x), p.n, *p.out_sides)), torch.empty(3, p.n)
    sums = p.scratch["sums"]
    panels = Panels(p.scratch["panels"], p.steps, whole // LANES)
    result = Result(y.data_ptr(), p.n, whole, pitch(p.n), p.table, sums, streams(y))
    kernels.convolve(
        KIND,
        (p.parts, weight.data_ptr(), p.steps, p.n, 4, 4 * p.steps, panels.at),
        (1, p.image, result, panels, p.blocks.scratch, p.pitch, p.lines),
        (p.parts, p.image, result, panels, p.blocks, p.pitch, p.lines),
        (
            1,
            ChannelSums(sums, p.parts, whole, p.n, 1, rows_of(y), p.table),
            running.follow(stats, eps),
        ),
    )
    p.scratch.give_back()
    return y, stats


def stem_back(dy, dstats, x, y, weight, stats, sizes) -> Tensor:
    """Return the gradient of the weights."""
    from convatlas.kernels.compiled import stem as kernels

    dy, x = dy.contiguous(memory_format=torch.channels_last), x.contiguous()
    n, whole, dw = len(weight), padded(len(weight)), torch.empty(weight.shape)
    each = (math.prod(weight.shape[1:]) + TILE_ROWS - 1) * whole * 4  # tiles write whole
    p = _Patches(x, weight, sizes, dw=torch.get_num_threads() * each)
    sums, pulled = WeightGradient(p.scratch["dw"], each), address(dstats)
    places = dy.data_ptr(), y.data_ptr()
    gradient = ResultGradient(*places, n, whole, pitch(n), p.table, pulled)
    kernels.convolve_back(
        KIND,
        (1, StatisticsPull(p.table, whole, n, rows_of(y), stats.data_ptr(), pulled)),
        (p.parts, p.image, gradient, sums, p.blocks, p.pitch, p.lines),
        (p.parts, sums, p.parts, n, whole, p.steps, dw.data_ptr()),
    )
    p.scratch.give_back()
    return dw
