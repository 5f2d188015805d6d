"""Call the kernels of `kernels.py`: memory, blocks and arguments."""

import math

import torch
from torch import Tensor, nn

from convatlas.kernels.launch.pointwise import MAX_ROWS
from convatlas.kernels.launch.workspace import (
    KIND,
    Running,
    Scratch,
    address,
    empty_rows,
    rows_of,
    streams,
)
from convatlas.kernels.layout.channels import SUMS_BYTES, TABLE_BYTES, padded, pitch
from convatlas.kernels.layout.tile_sizes import TILE_ROWS
from convatlas.kernels.layout.variants import output_sides

MAX_TAPS = 256  # of all channels: lines of a block, which stay in a core's cache


def fits_stem(x: Tensor, conv: nn.Conv2d) -> bool:
    """Whether the kernels know this convolution of an image that needs no gradient."""
    few = conv.groups == 1 and math.prod(conv.weight.shape[1:]) <= MAX_TAPS
    plain = conv.dilation == (1, 1) and conv.stride in ((1, 1), (2, 2))
    return few and plain and not x.requires_grad


class _Patches:
    """The sizes of a convolution, and its scratch memory."""

    def __init__(self, x: Tensor, weight: Tensor, sizes: tuple, **more: int):
        (stride, _), (top, left), _ = sizes
        self.images, channels, height, width = x.shape
        self.out_height, self.out_width = output_sides(x.shape, weight.shape, *sizes)
        self.of_image = (channels, height, width, *weight.shape[2:], stride, top, left)
        self.n, self.steps = weight.shape[0], math.prod(weight.shape[1:])
        self.block = min(self.out_height, max(1, MAX_ROWS // self.out_width))
        blocks = -(-self.out_height // self.block) * self.images
        self.parts = min(blocks, torch.get_num_threads())
        count = self.block * self.out_width
        self.pitch = pitch(count + TILE_ROWS)  # a tile may read, and a line may write, beyond it
        self.lines = self.pitch * (self.steps + TILE_ROWS)
        self.each = self.lines + (count + TILE_ROWS) * pitch(self.n)
        self.scratch = Scratch(
            rows=self.parts * self.each,
            table=padded(self.n) * TABLE_BYTES,
            sums=self.parts * padded(self.n) * SUMS_BYTES,
            **more,
        )


def stem(
    x: Tensor, weight: Tensor, eps: float, running: Running, sizes: tuple
) -> tuple[Tensor, Tensor]:
    """The convolution of an image, and the statistics of its result."""
    from convatlas.kernels.compiled import stem as kernels

    x, weight, whole = x.contiguous(), weight.contiguous(), padded(weight.shape[0])
    p = _Patches(x, weight, sizes, panels=math.prod(weight.shape[1:]) * whole * 4)
    y, stats = empty_rows((p.images, p.n, p.out_height, p.out_width)), torch.empty(3, p.n)
    panels, table, sums = p.scratch["panels"], p.scratch["table"], p.scratch["sums"]
    turn = (p.parts, weight.data_ptr(), p.steps, p.n, 4, 4 * p.steps, panels)
    pivots = (
        1,
        x.data_ptr(),
        *p.of_image,
        p.out_width,
        panels,
        whole,
        p.scratch["rows"],
        p.pitch,
        p.lines,
        table,
    )
    forward = (
        p.parts,
        x.data_ptr(),
        p.images,
        *p.of_image,
        p.out_height,
        p.out_width,
        panels,
        p.n,
        whole,
        y.data_ptr(),
        streams(y),
        p.block,
        p.scratch["rows"],
        p.each,
        p.pitch,
        p.lines,
        table,
        sums,
    )
    write = (
        1,
        sums,
        p.parts,
        whole,
        table,
        p.n,
        1,
        rows_of(y),
        stats.data_ptr(),
        eps,
        *running.arguments(),
    )
    kernels.convolve(KIND, turn, pivots, forward, write)
    p.scratch.give_back()
    return y, stats


def stem_back(dy, dstats, x, y, weight, stats, sizes) -> Tensor:
    """The gradient of the weights."""
    from convatlas.kernels.compiled import stem as kernels

    dy, x = dy.contiguous(memory_format=torch.channels_last), x.contiguous()
    whole, dw = padded(weight.shape[0]), torch.empty(weight.shape)
    sums_bytes = (math.prod(weight.shape[1:]) + TILE_ROWS - 1) * whole * 4  # tiles write whole
    p = _Patches(x, weight, sizes, dw=torch.get_num_threads() * sums_bytes)
    table, sums = p.scratch["table"], p.scratch["dw"]
    fill = (1, table, whole, p.n, rows_of(y), stats.data_ptr(), address(dstats))
    backward = (
        p.parts,
        dy.data_ptr(),
        y.data_ptr(),
        x.data_ptr(),
        p.images,
        *p.of_image,
        p.out_height,
        p.out_width,
        p.n,
        whole,
        sums,
        sums_bytes,
        p.block,
        p.scratch["rows"],
        p.each,
        p.pitch,
        p.lines,
        table,
        address(dstats),
    )
    write = (p.parts, sums, p.parts, sums_bytes, p.n, whole, p.steps, dw.data_ptr())
    kernels.convolve_back(KIND, fill, backward, write)
    p.scratch.give_back()
    return dw
