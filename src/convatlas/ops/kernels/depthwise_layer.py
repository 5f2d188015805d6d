"""A depthwise convolution of one shape: all that its calls have in common, found out once.

Before a small map is filtered the processor's caches hold what the layer before has left there, so
every line of Python costs many times what it costs in a loop.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from convatlas.ops.kernels.cache_size import cache_bytes
from convatlas.ops.kernels.channel_layout import LANES, padded
from convatlas.ops.kernels.filter_layout import Plans, output_sides, plans_of
from convatlas.ops.kernels.plan import STREAM_BYTES

_MARK = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}
Pair = tuple[int, int]


def fits(shape, weight_shape, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether the kernels know these shapes; torch explains what is wrong with the others."""
    if len(shape) != 4 or len(weight_shape) != 4:
        return False
    if weight_shape[0] != shape[1] or weight_shape[1] != 1 or 0 in shape:
        return False
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        return False
    return min(output_sides(shape, weight_shape, stride, padding, dilation)) > 0


def layer_of(
    x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> "DepthwiseLayer | None":
    """The layer of these tensors; None: none fits them."""
    known = (x.shape, x.stride(), x.dtype, weight.shape, weight.dtype)
    return _layer(*known, stride, padding, dilation, torch.get_num_threads())


@lru_cache(maxsize=1024)
def _layer(shape, steps, dtype, weight_shape, weight_dtype, stride, padding, dilation, threads):
    if dtype not in _MARK or dtype != weight_dtype:
        return None
    if not fits(shape, weight_shape, stride, padding, dilation):
        return None
    sides = output_sides(shape, weight_shape, stride, padding, dilation)
    sizes = (tuple(weight_shape[2:]), stride, padding, dilation)
    return DepthwiseLayer(tuple(shape), steps, sides, sizes, dtype, threads)


class DepthwiseLayer:
    """Calls the kernels with tensors of its shape."""

    def __init__(self, shape, steps, sides: Pair, sizes, dtype: torch.dtype, threads: int):
        self.images, self.channels, *_ = self.shape = shape
        self.sizes, self.dtype, self.threads = sizes, dtype, threads
        self.source, self.target = shape[2:], sides
        self.out_shape = (self.images, self.channels, *sides)
        self.taps, self.whole = math.prod(sizes[0]), padded(self.channels)
        self.kind, self.size = _MARK[dtype], dtype.itemsize
        # Whether the channels, else the columns, are what lies together in memory.
        self.rows = self.channels > 1 and steps[1] == 1
        self.settled = self.rows or steps[3] == 1
        self.format = torch.channels_last if self.rows else torch.contiguous_format
        self.x_steps = steps if self.settled else self._steps(self.source)
        self.out_steps, self.dx_steps = self._steps(self.target), self._steps(self.source)
        self.can_stream = self.rows and dtype == torch.float32 and self.channels % LANES == 0
        self.plans: dict[tuple[bool, bool], Plans] = {}

    def _steps(self, sides: Pair) -> tuple[int, ...]:
        height, width = sides
        if self.rows:
            return (height * width * self.channels, 1, width * self.channels, self.channels)
        return (self.channels * height * width, height * width, width, 1)

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """A tensor in the memory format of the layer."""
        return torch.empty(shape, dtype=self.dtype, memory_format=self.format)

    def _plans(self, back: bool, result: Tensor) -> Plans:
        large = result.numel() * self.size > STREAM_BYTES
        key = back, self.can_stream and large and result.data_ptr() % 64 == 0
        if key not in self.plans:
            steps = (self.x_steps, self.out_steps, self.dx_steps)
            sides = (self.source, self.target, steps, self.size, self.channels)
            self.plans[key] = plans_of(self.sizes, *sides, key[1], back)
        return self.plans[key]

    def _block(self, row_bytes: int) -> int:
        """Rows of a task: a third of a core's cache, and few enough that every thread has work."""
        rows = self.target[0]
        shared = -(-rows * self.images // self.threads)
        return max(1, min(rows, shared, cache_bytes() // 3 // max(1, row_bytes)))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution."""
        from convatlas.ops.kernels import filter_planes, row_kernels

        x = x if self.settled else x.contiguous()
        out = self.empty(self.out_shape)
        plans = self._plans(False, out)
        if self.rows:
            w, columns = weight.contiguous(), self.source[1] * self.sizes[1][0] + self.target[1]
            turned = torch.empty(self.threads * self.taps * self.whole)
            row_kernels.forward(plans.forward)(
                self.threads, *plans.place, x.data_ptr(), w.data_ptr(), self.taps,
                turned.data_ptr(), self.whole, out.data_ptr(), self.images,
                self._block(self.channels * self.size * columns), self.kind,
            )  # fmt: skip  # a kernel's arguments, as it declares them
        else:
            w = weight.float().contiguous()
            filter_planes.forward(
                self.threads, *plans.place, x.data_ptr(), w.data_ptr(), out.data_ptr(), self.images,
                self.taps, self.kind,
            )  # fmt: skip  # as above
        return out

    def backward(
        self, dy: Tensor, x: Tensor, weight: Tensor, need_x: bool, need_w: bool
    ) -> tuple[Tensor, Tensor]:
        """The gradients of x and of the weights; empty or nothing where not needed."""
        from convatlas.ops.kernels import filter_planes, filter_weights, row_kernels

        x = x if self.settled else x.contiguous()
        dy, n, taps = dy.contiguous(memory_format=self.format), self.images, self.taps
        dx = self.empty(self.shape if need_x else (0, 1, 1, 1))
        plans = self._plans(need_x, dx)
        if not self.rows:
            w = weight.float().contiguous()
            sums = torch.zeros(n, self.channels, taps, dtype=torch.float64)
            filter_planes.backward(
                self.threads, *plans.place, x.data_ptr(), dy.data_ptr(), w.data_ptr(),
                dx.data_ptr(), sums.data_ptr(), n, taps, int(need_x), int(need_w), self.kind,
            )  # fmt: skip  # a kernel's arguments, as it declares them
            return dx, sums.sum(0).to(weight.dtype).reshape(weight.shape).contiguous()
        w, each = weight.contiguous(), taps * self.whole
        dw = torch.empty(weight.shape, dtype=self.dtype)
        turned = torch.empty(self.threads * each)
        sums = torch.empty(self.threads * each, dtype=torch.float64)
        columns = 2 * self.source[1] * self.sizes[1][0] + self.target[1]
        row_kernels.backward(plans.forward, plans.backward)(
            self.threads, *plans.place, x.data_ptr(), dy.data_ptr(), w.data_ptr(), taps,
            turned.data_ptr(), self.whole, dx.data_ptr(), sums.data_ptr(), n,
            self._block(self.channels * self.size * columns), int(need_x), int(need_w), self.kind,
        )  # fmt: skip  # as above
        if need_w:
            filter_weights.write_gradient(
                1, sums.data_ptr(), self.threads, each * 8, self.channels, taps, self.whole,
                dw.data_ptr(), self.kind,
            )  # fmt: skip  # as above
        return dx, dw
