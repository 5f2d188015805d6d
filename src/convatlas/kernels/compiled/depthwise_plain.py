"""The kernels of a depthwise filter over arrays whose channels lie together: (n, h, w, c).

They are compiled for the taps and strides that a layer needs (`layout/variants.py`).
"""

from functools import cache

from convatlas.kernels.codegen.memory import element_bytes, read_line
from convatlas.kernels.codegen.tiles import LINE
from convatlas.kernels.compiled.depthwise_rows import depthwise_rows, prefetch_factor_of
from convatlas.kernels.compiled.depthwise_weights import clear_sums, pack_weights, weight_rows
from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.records import Fetch, FilterWork
from convatlas.kernels.layout.variants import Sums, Variant
from convatlas.kernels.runtime.compiler import Kernel, inner, kernel
from convatlas.kernels.runtime.records import PlanArray


@inner
def _next_row(q, row):
    """The first row of inputs that output rows from this one on read, and those above do not."""
    return q[p.H_STRIDE] * (row - 1) + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP] + 1


@inner
def _read_rows(q, x, first, end, dtype):
    """Read the inputs that output rows [first, end) of an image bring with them, and no others."""
    top, bottom = _next_row(q, first) if first else 0, min(q[p.H_SIZE], _next_row(q, end))
    row = (q[p.W_SIZE] - 1) * q[p.X_W] + q[p.CHANNELS] * element_bytes(dtype)
    for line in range(x + max(0, top) * q[p.X_H], x + (bottom - 1) * q[p.X_H] + row, LINE):
        read_line(line)


@cache
def forward(variant: Variant) -> Kernel:
    """Return the kernel of a forward pass."""
    write_rows = depthwise_rows(*variant)

    @kernel(variant.name())
    def forward(worker, workers, plans: PlanArray, x, w, out, work: FilterWork, dtype):
        """Write the result, a block of rows a task; each worker packs the weights for itself."""
        q, padded = plans[0], work.padded
        packed = work.packed + worker * work.taps * padded * 4
        pack_weights(w, q[p.CHANNELS], work.taps, padded, packed, dtype)
        blocks = (q[p.H_OUT] + work.block - 1) // work.block
        tasks, factor = work.images * blocks, prefetch_factor_of(q)
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks, task % blocks * work.block
            end = min(q[p.H_OUT], first + work.block)
            if not factor:
                _read_rows(q, x + n * q[p.X_N], first, end, dtype)
            fetch = Fetch(x + n * q[p.X_N] + _next_row(q, end) * q[p.X_H], factor)
            write_rows(q, x, packed, padded, out, n, first, end, fetch, dtype)

    return forward


@cache
def backward(sums: Sums, variant: Variant) -> Kernel:
    """Return the kernel of both gradients."""
    write_rows, add_rows = depthwise_rows(*variant), weight_rows(*sums, 1)

    @kernel(f"{sums.name()}_{variant.name()}")
    def backward(
        worker,
        workers,
        plans: PlanArray,
        x,
        dy,
        w,
        dx,
        sums,
        work: FilterWork,
        need_x,
        need_w,
        dtype,
    ):
        """Write both gradients a block of rows at a time, so that dy comes from memory once.

        Row 0 of plans is the forward pass, the others the input gradient. Each worker sums the
        weight gradient of a fixed range of blocks by itself, which keeps the order of addition.
        """
        length, block, padded = plans[0, p.H_OUT], work.block, work.padded
        for k in range(1, plans.shape[0]):
            length = max(length, plans[k, p.H_OUT])
        blocks = (length + block - 1) // block
        tasks, size = work.images * blocks, work.taps * padded
        local_sums = sums + worker * size * 8
        packed = work.packed + worker * size * 4
        pack_weights(w, plans[0, p.CHANNELS], work.taps, padded, packed, dtype)
        clear_sums(local_sums, size)
        # While the input gradient of a block is computed, its inputs are prefetched; while its
        # weight gradient is, the gradient rows that the next block adds.
        q, below = plans[0], 0
        for k in range(1, plans.shape[0]):
            below = max(below, plans[k, p.H_OFFSET] + (plans[k, p.H_TAPS] - 1) * plans[k, p.H_STEP])
        for task in range(worker * tasks // workers, (worker + 1) * tasks // workers):
            n, first = task // blocks, task % blocks * block
            end = first + block
            gradients = dy + n * q[p.OUT_N] + (min(end, q[p.H_OUT]) + below) * q[p.OUT_H]
            ahead = x + n * q[p.X_N] + _next_row(q, first) * q[p.X_H] if need_w else gradients
            if need_x:
                for k in range(1, plans.shape[0]):
                    r, fetch = plans[k], Fetch(ahead, 1 if need_w or k == 1 else 0)
                    write_rows(r, dy, packed, padded, dx, n, first, end, fetch, dtype)
                    ahead += block * r[p.W_OUT] * r[p.CHANNELS] * element_bytes(dtype)
            elif need_w:
                _read_rows(q, x + n * q[p.X_N], first, min(end, q[p.H_OUT]), dtype)
            if need_w:
                add_rows(q, x, dy, local_sums, padded, n, first, end, gradients, dtype)

    return backward
