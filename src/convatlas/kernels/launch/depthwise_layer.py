"""A depthwise convolution of one shape: all that its calls have in common, found out once.

Before a small map is filtered the processor's caches hold what the layer before has left there, so
every line of Python costs many times what it costs in a loop.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from convatlas.kernels.launch.workspace import borrow, give_back
from convatlas.kernels.layout.channels import LANES, padded
from convatlas.kernels.layout.plan import STREAM_BYTES
from convatlas.kernels.layout.records import FilterWork
from convatlas.kernels.layout.variants import output_sides, plans_of
from convatlas.kernels.runtime.hardware import cache_bytes
from convatlas.kernels.runtime.records import PlanRows

if TYPE_CHECKING:
    from convatlas.kernels.runtime.compiler import Kernel  # which needs Numba

_MARK = {torch.float32: np.float32(0), torch.bfloat16: np.uint16(0)}
Pair = tuple[int, int]


def fits(shape, weight_shape, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Return whether the kernels know these shapes; torch explains what is wrong with others."""
    if len(shape) != 4 or len(weight_shape) != 4:
        return False
    if weight_shape[0] != shape[1] or weight_shape[1] != 1 or 0 in shape:
        return False
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0:
        return False
    return min(output_sides(shape, weight_shape, stride, padding, dilation)) > 0


def pair(value: int | Sequence[int]) -> Pair:
    """Return a size along both axes."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def layer_of(x: Tensor, weight: Tensor, stride, padding, dilation) -> "DepthwiseLayer | None":
    """Return the layer of these tensors; None: none fits. Sizes are whole numbers or pairs."""
    known = (x.shape, x.stride(), x.dtype, weight.shape, weight.dtype, torch.get_num_threads())
    try:
        return _layer(*known, stride, padding, dilation)
    except TypeError:  # lists cannot be remembered
        return _layer(*known, pair(stride), pair(padding), pair(dilation))


@lru_cache(maxsize=1024)
def _layer(shape, steps, dtype, weight_shape, weight_dtype, threads, *sizes):
    stride, padding, dilation = (pair(size) for size in sizes)
    if dtype not in _MARK or dtype != weight_dtype:
        return None
    if not fits(shape, weight_shape, stride, padding, dilation):
        return None
    sides = output_sides(shape, weight_shape, stride, padding, dilation)
    known = (tuple(weight_shape[2:]), stride, padding, dilation)
    return DepthwiseLayer(tuple(shape), steps, sides, known, dtype, threads)


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
        self.ways: dict[tuple[bool, bool], _Way] = {}

    def _steps(self, sides: Pair) -> tuple[int, ...]:
        height, width = sides
        if self.rows:
            return (height * width * self.channels, 1, width * self.channels, self.channels)
        return (self.channels * height * width, height * width, width, 1)

    def _way(self, back: bool, result: int) -> "_Way":
        """How to compute a result that begins at this address."""
        key = back, result % 64 == 0
        return self.ways.get(key) or self._found(*key)

    def _found(self, back: bool, aligned: bool) -> "_Way":
        from convatlas.kernels.compiled import depthwise_plain, depthwise_planes

        steps = (self.x_steps, self.out_steps, self.dx_steps)
        sides = (self.source, self.target, steps, self.size, self.channels)
        area = math.prod(self.source if back else self.target)
        large = self.images * self.channels * area * self.size > STREAM_BYTES
        stream = self.can_stream and large and aligned
        plans = plans_of(self.sizes, *sides, stream, back)
        if not self.rows:
            kernel = depthwise_planes.backward if back else depthwise_planes.forward
        elif back:
            kernel = depthwise_plain.backward(plans.sums, plans.backward)
        else:
            kernel = depthwise_plain.forward(plans.forward)
        columns = self.source[1] * self.sizes[1][0] + (self.target[1] if back else 0)
        way = _Way(kernel, plans.place, self._block(self.channels * self.size * columns))
        return self.ways.setdefault((back, aligned), way)

    def _block(self, row_bytes: int) -> int:
        """Rows of a task: a third of a core's cache, and few enough that every thread has work.

        All tasks of an image are about as large: each begins with rows that it shares.
        """
        rows = self.target[0]
        shared = -(-rows * self.images // self.threads)
        most = max(1, min(rows, shared, cache_bytes() // 3 // max(1, row_bytes)))
        return -(-rows // -(-rows // most))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        """Compute the convolution."""
        x = x if self.settled else x.contiguous()
        out = torch.empty_strided(self.out_shape, self.out_steps, dtype=self.dtype)
        result = out.data_ptr()
        way = self._way(False, result)
        if self.rows:
            w, packed = weight.contiguous(), borrow(self.threads * self.taps * self.whole * 4)
            places, work = (x.data_ptr(), w.data_ptr(), result), self._work(way, packed.data_ptr())
            way.kernel(self.threads, way.plans, *places, work, self.kind)
            give_back(packed)
        else:
            w = weight.float().contiguous()
            places = (x.data_ptr(), w.data_ptr(), result)
            way.kernel(self.threads, way.plans, *places, self.images, self.taps, self.kind)
        return out

    def _work(self, way: "_Way", packed: int) -> FilterWork:
        return FilterWork(self.images, way.block, self.taps, packed, self.whole)

    def backward(
        self, dy: Tensor, x: Tensor, weight: Tensor, need_x: bool, need_w: bool
    ) -> tuple[Tensor, Tensor]:
        """Compute the gradients of x and of the weights; empty or nothing where not needed."""
        from convatlas.kernels.compiled import depthwise_weights

        x = x if self.settled else x.contiguous()
        dy, n, taps = dy.contiguous(memory_format=self.format), self.images, self.taps
        shape = self.shape if need_x else (0, *self.shape[1:])
        dx = torch.empty_strided(shape, self.dx_steps, dtype=self.dtype)
        way = self._way(True, dx.data_ptr())
        needs = int(need_x), int(need_w)
        if not self.rows:
            w = weight.float().contiguous()
            sums = torch.zeros(n, self.channels, taps, dtype=torch.float64)
            places = (x.data_ptr(), dy.data_ptr(), w.data_ptr(), dx.data_ptr(), sums.data_ptr())
            way.kernel(self.threads, way.plans, *places, n, taps, *needs, self.kind)
            return dx, sums.sum(0).to(weight.dtype).reshape(weight.shape).contiguous()
        w, each = weight.contiguous(), taps * self.whole
        dw = torch.empty(weight.shape, dtype=self.dtype)
        scratch = borrow(self.threads * each * (8 + 4))
        sums_at = scratch.data_ptr()
        places = (x.data_ptr(), dy.data_ptr(), w.data_ptr(), dx.data_ptr(), sums_at)
        work = self._work(way, sums_at + self.threads * each * 8)
        way.kernel(self.threads, way.plans, *places, work, *needs, self.kind)
        if need_w:
            sizes = self.threads, each * 8, self.channels, taps, self.whole
            depthwise_weights.write_gradient(1, sums_at, *sizes, dw.data_ptr(), self.kind)
        give_back(scratch)
        return dx, dw


class _Way(NamedTuple):
    """What a pass of a layer runs: the kernel, its plans, and the rows of a task."""

    kernel: "Kernel"
    plans: PlanRows
    block: int
