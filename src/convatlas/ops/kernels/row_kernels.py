"""The kernels of a depthwise filter over arrays whose channels lie together: (n, h, w, c).

They are compiled for the taps and strides that a layer needs (`filter_layout.py`).
"""

from functools import cache

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.compiled import Kernel, inner, kernel
from convatlas.ops.kernels.filter_layout import Sums, Variant
from convatlas.ops.kernels.filter_rows import asked_groups, filter_rows
from convatlas.ops.kernels.filter_weights import clear_sums, turn_weights
from convatlas.ops.kernels.memory_access import element_bytes, read_line
from convatlas.ops.kernels.tiles import LINE
from convatlas.ops.kernels.weight_rows import weight_rows


@inner
def _next_row(q, row):
    """The first row of inputs that output rows from this one on read, and those above do not."""
    return q[p.H_STRIDE] * (row - 1) + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP] + 1


@inner
def _read_rows(q, x, first, end, kind):
    """Read the inputs that output rows [first, end) of an image bring with them, and no others."""
    top, bottom = _next_row(q, first) if first else 0, min(q[p.H_SIZE], _next_row(q, end))
    row = (q[p.W_SIZE] - 1) * q[p.X_W] + q[p.CHANNELS] * element_bytes(kind)
    for line in range(x + max(0, top) * q[p.X_H], x + (bottom - 1) * q[p.X_H] + row, LINE):
        read_line(line)


@cache
def forward(variant: Variant) -> Kernel:
    """The kernel of a forward pass."""
    write_rows = filter_rows(*variant)

    @kernel(variant.name(), plans="plans")
    def forward(part, parts, plans, x, w, taps, turned, padded, out, images, block, kind):
        """The whole filter, `block` output rows a task; each part turns the weights for itself."""
        q = plans[0]
        turned += part * taps * padded * 4
        turn_weights(w, q[p.CHANNELS], taps, padded, turned, kind)
        blocks = (q[p.H_OUT] + block - 1) // block
        tasks, groups = images * blocks, asked_groups(q)
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, first = task // blocks, task % blocks * block
            end = min(q[p.H_OUT], first + block)
            if not groups:
                _read_rows(q, x + n * q[p.X_N], first, end, kind)
            asked = x + n * q[p.X_N] + _next_row(q, end) * q[p.X_H]
            write_rows(q, x, turned, padded, out, n, first, end, asked, groups, kind)

    return forward


@cache
def backward(sums: Sums, variant: Variant) -> Kernel:
    """The kernel of both gradients."""
    write_rows, add_rows = filter_rows(*variant), weight_rows(*sums, 1)

    @kernel(f"{sums.name()}_{variant.name()}", plans="plans")
    def backward(
        part, parts, plans, x, dy, w, taps, turned, padded, dx, sums, images, block, need_x, need_w,
        kind,
    ):  # fmt: skip  # one argument a line would hide the function below its signature
        """Both gradients a block of rows at a time, so that dy comes from memory once.

        Row 0 of plans is the forward pass, the others the input gradient. Each part sums the weight
        gradient of a fixed range of blocks by itself, which keeps the order of addition.
        """
        length = plans[0, p.H_OUT]
        for k in range(1, plans.shape[0]):
            length = max(length, plans[k, p.H_OUT])
        blocks = (length + block - 1) // block
        tasks, size = images * blocks, taps * padded
        own = sums + part * size * 8
        turned += part * size * 4
        turn_weights(w, plans[0, p.CHANNELS], taps, padded, turned, kind)
        clear_sums(own, size)
        # While the input gradient of a block is computed, its inputs are asked for; while its
        # weight gradient is, the gradient rows that the next block adds.
        q, below = plans[0], 0
        for k in range(1, plans.shape[0]):
            below = max(below, plans[k, p.H_OFFSET] + (plans[k, p.H_TAPS] - 1) * plans[k, p.H_STEP])
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, first = task // blocks, task % blocks * block
            end = first + block
            gradients = dy + n * q[p.OUT_N] + (min(end, q[p.H_OUT]) + below) * q[p.OUT_H]
            asked = x + n * q[p.X_N] + _next_row(q, first) * q[p.X_H] if need_w else gradients
            if need_x:
                for k in range(1, plans.shape[0]):
                    r, groups = plans[k], 1 if need_w or k == 1 else 0
                    write_rows(r, dy, turned, padded, dx, n, first, end, asked, groups, kind)
                    asked += block * r[p.W_OUT] * r[p.CHANNELS] * element_bytes(kind)
            elif need_w:
                _read_rows(q, x + n * q[p.X_N], first, min(end, q[p.H_OUT]), kind)
            if need_w:
                add_rows(q, x, dy, own, padded, n, first, end, gradients, kind)

    return backward
