"""The kernels of a depthwise filter over arrays whose channels lie together: (n, h, w, c).

They are compiled for the taps and strides that a layer needs (`filter_layout.py`).
"""

from functools import cache

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.compiled import Kernel, inner, kernel
from convatlas.ops.kernels.filter_layout import Tiles, variant
from convatlas.ops.kernels.filter_rows import filter_rows, weight_rows
from convatlas.ops.kernels.filter_weights import clear_sums, turn_weights
from convatlas.ops.kernels.memory_access import ask_for
from convatlas.ops.kernels.tiles import LINE


@inner
def _ask_rows(q, x, n, first, end):
    """Ask for the inputs of output rows [first, end), in the order in which they lie."""
    last = q[p.H_STRIDE] * (end - 1) + q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP]
    top = max(0, q[p.H_STRIDE] * first + q[p.H_OFFSET])
    bottom = min(q[p.H_SIZE], last + 1)
    here = x + n * q[p.X_N]
    for line in range(here + top * q[p.X_H], here + bottom * q[p.X_H], LINE):
        ask_for(line)


@cache
def forward(tiles: Tiles) -> Kernel:
    """The kernel of a forward pass."""
    write_rows = filter_rows(tiles, 1)

    @kernel(variant(tiles), plans="plans")
    def forward(part, parts, plans, x, w, taps, turned, padded, out, images, block, kind):
        """The whole filter, `block` output rows a task; each part turns the weights for itself."""
        q = plans[0]
        turned += part * taps * padded * 4
        turn_weights(w, q[p.CHANNELS], taps, padded, turned, kind)
        blocks = (q[p.H_OUT] + block - 1) // block
        tasks = images * blocks
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            first = task % blocks * block
            write_rows(q, x, turned, padded, out, task // blocks, first, first + block, 1, 0, kind)

    return forward


@cache
def backward(tiles: Tiles, tiles_back: Tiles) -> Kernel:
    """The kernel of both gradients."""
    write_rows, add_rows = filter_rows(tiles_back, 1), weight_rows(tiles, 1)

    @kernel(variant(tiles, tiles_back), plans="plans")
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
        q, alone = plans[0], 0 if need_w else 1
        last = q[p.H_OFFSET] + (q[p.H_TAPS] - 1) * q[p.H_STEP]
        inputs = x - dx + (last - q[p.H_STRIDE] + 1) * q[p.X_H] if need_w else 0
        below = 0
        for k in range(1, plans.shape[0]):
            below = max(below, plans[k, p.H_OFFSET] + (plans[k, p.H_TAPS] - 1) * plans[k, p.H_STEP])
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            n, first = task // blocks, task % blocks * block
            end = first + block
            if need_x:
                for k in range(1, plans.shape[0]):
                    write_rows(plans[k], dy, turned, padded, dx, n, first, end, alone, inputs, kind)
            elif need_w:
                _ask_rows(q, x, n, first, min(end, q[p.H_OUT]))
            if need_w:
                asked = dy + n * q[p.OUT_N] + (min(end, q[p.H_OUT]) + below) * q[p.OUT_H]
                add_rows(q, x, dy, own, padded, n, first, end, asked, kind)

    return backward
