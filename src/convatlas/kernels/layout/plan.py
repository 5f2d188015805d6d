"""What a depthwise kernel must do, as one row of integers: a correlation along two axes.

Along each axis output j sums taps m: input STRIDE * j + OFFSET + m * STEP with the weight at
WEIGHT + m * WEIGHT_STEP. A forward pass is one such row. The input gradient of stride s is s rows
an axis: inputs s * j + r (r < s) are reached by every s-th tap only, run backwards.
"""

import math
from functools import lru_cache
from itertools import product

from convatlas.kernels.layout.channels import LANES
from convatlas.kernels.layout.tile_sizes import strip_columns

# Fields of a row; the W_ block repeats the H_ block for the second axis.
H_SIZE, H_OUT, H_STRIDE, H_OFFSET, H_STEP, H_TAPS, H_WEIGHT, H_WEIGHT_STEP = range(8)
W_SIZE, W_OUT, W_STRIDE, W_OFFSET, W_STEP, W_TAPS, W_WEIGHT, W_WEIGHT_STEP = range(8, 16)
CHANNELS, KERNEL_W, STREAM = 16, 17, 18
STRIP = 19  # columns of the strips that write outputs; 0: there are none
X_N, X_C, X_H, X_W = 20, 21, 22, 23  # pitches of the input in bytes
OUT_START, OUT_N, OUT_C, OUT_H, OUT_W = 24, 25, 26, 27, 28
TILED = 29  # whether weight gradients are summed in tiles

MAX_TAPS = 7  # strips are compiled for at most this many taps along an axis
MAX_STRIDE = 2
TILED_TAPS = (3, 5, 7)
STREAM_BYTES = 1 << 20  # results above this are written around the caches


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Count outputs along one axis; 0 or less where the kernel does not fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _forward(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int):
    yield 0, 1, (size, out, stride, -padding, dilation, kernel, 0, 1)


def backward_side(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int):
    """Give input s * j + r weight m from output (s * j + r + padding - m * dilation) / s."""
    shared = math.gcd(stride, dilation)
    every, back = stride // shared, dilation // shared
    for r in range(min(stride, size)):
        taps = [m for m in range(kernel) if (r + padding - m * dilation) % stride == 0]
        count = (size - r - 1) // stride + 1
        last = taps[-1] if taps else 0
        offset = (r + padding - last * dilation) // stride
        yield r, stride, (out, count, 1, offset, back, len(taps), last, -every)


def _has_strips(side: tuple[int, ...]) -> bool:
    """Whether neighbouring taps of an axis meet neighbouring inputs, and are few."""
    _, _, stride, _, step, taps, *_ = side
    return step == 1 and 0 < taps <= MAX_TAPS and stride <= MAX_STRIDE


@lru_cache(maxsize=4096)
def plan(
    backward: bool,
    source: tuple[int, int],
    target: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    channels: int,
    x_pitch: tuple[int, ...],
    out_pitch: tuple[int, ...],
    stream: bool,
) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a forward pass from source to target, or of an input gradient back.

    Args:
        source: height and width of the forward input, also for the gradient.
        target: height and width of the forward output.
        x_pitch: bytes from one element of what is read to the next, for (n, c, h, w).
        out_pitch: the same of what is written.
        stream: the result is written around the caches.
    """
    axis = backward_side if backward else _forward
    shapes = (source, target, kernel, stride, padding, dilation)
    sides = [list(axis(*side)) for side in zip(*shapes, strict=True)]
    rows = []
    for (row, row_step, h), (column, column_step, w) in product(*sides):
        _, _, out_h, out_w = out_pitch
        start = row * out_h + column * out_w
        out = (start, out_pitch[0], out_pitch[1], row_step * out_h, column_step * out_w)
        strip = 0
        if channels >= LANES and _has_strips(h) and _has_strips(w):
            strip = strip_columns(h[5], h[2], w[5], w[2], w[1])
        tiled = channels >= LANES and w[4] == 1 and w[5] in TILED_TAPS and w[2] <= MAX_STRIDE
        rest = (channels, kernel[1], int(stream), strip)
        rows.append((*h, *w, *rest, *x_pitch, *out, int(tiled)))
    return tuple(rows)
