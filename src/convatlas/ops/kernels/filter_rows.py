"""Depthwise filters over arrays whose channels are contiguous: (n, h, w, c) in memory.

Weights and their gradient are held tap by tap (`filter_weights.py`).
"""

import numpy as np

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.compiled import inner
from convatlas.ops.kernels.filter_layout import PLAIN
from convatlas.ops.kernels.filter_tiles import filter_columns
from convatlas.ops.kernels.memory_access import (
    add_to_doubles,
    element_bytes,
    load,
    load_lanes,
    store,
    store_lanes,
)
from convatlas.ops.kernels.tiles import COLUMNS, PADDING, WIDE, WIDE_STREAMS
from convatlas.ops.kernels.vector import FLOAT32, LANES, add, fma, splat
from convatlas.ops.kernels.weight_tiles import KERNEL_ROWS, weight_columns

NOUGHT = np.float32(0)
AHEAD = 64  # columns from a tile to the lines asked for


@inner
def first_tap(place, step):
    """The first tap whose input, place + tap * step, is not before the start."""
    return 0 if place >= 0 else (-place + step - 1) // step


@inner
def end_tap(place, step, size, taps):
    """One past the last tap whose input is not beyond the end."""
    return min(taps, (size - 1 - place) // step + 1)


def _wide(taps, stride):
    """Whether a row is best taken in wide tiles: in fewer steps, and without unknown padding."""
    lefts, rights = PADDING[taps, stride]
    most_left, right, most_right = lefts[-1], rights[min(1, len(rights) - 1)], rights[-1]

    @inner
    def wide(q):
        columns = q[p.W_OUT]
        if taps in (4, 7) or columns < WIDE:
            return False
        steps, narrow = (columns + WIDE - 1) // WIDE, (columns + COLUMNS - 1) // COLUMNS
        if steps * (WIDE + 1) > narrow * (COLUMNS + 1):
            return False
        before = -q[p.W_OFFSET]
        beyond = stride * (columns - 1) - before + taps - q[p.W_SIZE]
        known = beyond <= 0 or beyond in (right, most_right)
        # The last tile starts early where columns are left over; the one before it must be inside.
        inside = columns % WIDE == 0 or columns % WIDE * stride >= beyond
        return (before <= 0 or before == most_left) and known and inside

    return wide


def _tiled_row(taps, stride, edges):
    """The function that writes one output row for one number of taps and stride, tile by tile."""
    wide = _wide(taps, stride)

    @inner
    def write_row(q, kind, x, xrow, w, wrow, wcol, rows, out, asks, other):
        xcol, ocol, vectors = q[p.X_W], q[p.OUT_W], q[p.CHANNELS] // LANES
        size, columns, past = q[p.W_SIZE], q[p.W_OUT], q[p.STREAM]
        # Ahead in the last row; the row above is new too where outputs move on by two.
        fresh = q[p.ASK] if asks else 0
        ahead = (rows - 1) * xrow + AHEAD * xcol
        groups = stride if fresh else 0
        above = ahead - xrow
        groups_too = stride if fresh > 1 else 0
        if other:
            groups_too = q[p.WHOLE]
        if (taps in WIDE_STREAMS or not past) and wide(q):
            for at in range(0, columns, WIDE):
                k = min(at, columns - WIDE)  # the last columns once more rather than fewer
                first = stride * k + q[p.W_OFFSET]
                here, there = x + first * xcol, out + k * ocol
                too = other + there if other else here + above
                filter_columns(
                    WIDE, taps, stride, edges, kind, here, xrow, xcol, w, wrow, wcol, rows, first,
                    size, there, ocol, WIDE, vectors, past, here + ahead, groups, too, groups_too,
                )  # fmt: skip  # one argument a line would hide the loops
        else:
            for at in range(0, columns, COLUMNS):
                k = min(at, max(0, columns - COLUMNS))
                first = stride * k + q[p.W_OFFSET]
                here, there = x + first * xcol, out + k * ocol
                too = other + there if other else here + above
                filter_columns(
                    COLUMNS, taps, stride, edges, kind, here, xrow, xcol, w, wrow, wcol, rows,
                    first, size, there, ocol, columns - k, vectors, past, here + ahead, groups, too,
                    groups_too,
                )  # fmt: skip  # as above

    return write_row


def _choice(tiles, edges):
    """The function that writes a row by whichever of these pairs of taps and stride it has."""
    if not tiles:
        return _no_row
    (taps, stride), rest = tiles[0], _choice(tiles[1:], edges)
    if (taps, stride) == PLAIN:
        return rest
    row = _tiled_row(taps, stride, edges)

    @inner
    def write(q, kind, x, xrow, w, wrow, wcol, rows, out, asks, other):
        if q[p.W_TAPS] == taps and q[p.W_STRIDE] == stride:
            row(q, kind, x, xrow, w, wrow, wcol, rows, out, asks, other)
        else:
            rest(q, kind, x, xrow, w, wrow, wcol, rows, out, asks, other)

    return write


@inner
def _no_row(q, kind, x, xrow, w, wrow, wcol, rows, out, asks, other):
    """No tile fits."""


@inner
def write_column(q, kind, x, xrow, w, wrow, wcol, rows, k, out, low):
    """Output column k at channels from `low` up, with the taps that lie inside the input."""
    size, step = element_bytes(kind), q[p.W_STEP]
    place = q[p.W_STRIDE] * k + q[p.W_OFFSET]
    left = first_tap(place, step)
    taps = end_tap(place, step, q[p.W_SIZE], q[p.W_TAPS]) - left
    x += (place + left * step) * q[p.X_W]
    xcol = step * q[p.X_W]
    w += left * wcol
    out += k * q[p.OUT_W]
    c = low
    while c + 4 * LANES <= q[p.CHANNELS]:  # four sums at once: a lone one waits for itself
        a = splat(NOUGHT)
        b, d, e = a, a, a
        for row in range(rows):
            for tap in range(taps):
                weight = w + row * wrow + tap * wcol + 4 * c
                value = x + row * xrow + tap * xcol + c * size
                a = fma(load(value, kind), load(weight, FLOAT32), a)
                b = fma(load(value + 16 * size, kind), load(weight + 64, FLOAT32), b)
                d = fma(load(value + 32 * size, kind), load(weight + 128, FLOAT32), d)
                e = fma(load(value + 48 * size, kind), load(weight + 192, FLOAT32), e)
        store(out + c * size, a, kind)
        store(out + (c + 16) * size, b, kind)
        store(out + (c + 32) * size, d, kind)
        store(out + (c + 48) * size, e, kind)
        c += 4 * LANES
    while c < q[p.CHANNELS]:
        lanes = q[p.CHANNELS] - c
        a = splat(NOUGHT)
        for row in range(rows):
            for tap in range(taps):
                value = load_lanes(x + row * xrow + tap * xcol + c * size, 0, lanes, kind)
                a = fma(value, load(w + row * wrow + tap * wcol + 4 * c, FLOAT32), a)
        store_lanes(out + c * size, a, lanes, kind)
        c += LANES


@inner
def _all_columns(q, kind, x, xrow, w, wrow, wcol, rows, out, low):
    for k in range(q[p.W_OUT]):
        write_column(q, kind, x, xrow, w, wrow, wcol, rows, k, out, low)


@inner
def _no_columns(q, kind, x, xrow, w, wrow, wcol, rows, out, low):
    """Tiles take all channels."""


@inner
def row_of(q, x, w, padded, j):
    """Where output row j of an image finds its inputs and weights, and how many rows it has.

    Two addresses, each with the bytes to the next row, the bytes from tap to tap, and the rows.
    """
    wrow, wcol = q[p.KERNEL_W] * padded * 4, q[p.W_WEIGHT_STEP] * padded * 4
    place = q[p.H_STRIDE] * j + q[p.H_OFFSET]
    top = first_tap(place, q[p.H_STEP])
    rows = end_tap(place, q[p.H_STEP], q[p.H_SIZE], q[p.H_TAPS]) - top
    weights = w + (q[p.H_WEIGHT] + top * q[p.H_WEIGHT_STEP]) * wrow
    weights += q[p.W_WEIGHT] * padded * 4
    inputs, xrow = x + (place + top * q[p.H_STEP]) * q[p.X_H], q[p.H_STEP] * q[p.X_H]
    return inputs, xrow, weights, q[p.H_WEIGHT_STEP] * wrow, wcol, rows


def filter_rows(tiles, edges):
    """The function that writes output rows, compiled for these tiles.

    `edges` is 0 where zeros stand beside the rows in memory, so that no tile needs to look.
    """
    columns, plain_columns = _choice(tiles, edges), _all_columns if PLAIN in tiles else _no_columns

    @inner
    def write_rows(q, x, w, padded, out, n, first, end, asks, other, kind):
        """Output rows [first, end) of image n, as plan row q says.

        `asks` for the inputs ahead; `other` (0: nothing) is how far from each output something
        lies that will be read next and is asked for too.
        """
        for j in range(first, min(end, q[p.H_OUT])):
            row = row_of(q, x + n * q[p.X_N], w, padded, j)
            target, low = out + q[p.OUT_START] + n * q[p.OUT_N] + j * q[p.OUT_H], 0
            if q[p.TILED]:
                columns(q, kind, *row, target, asks, other)
                low = q[p.CHANNELS] - q[p.CHANNELS] % LANES
            if low < q[p.CHANNELS]:
                plain_columns(q, kind, *row, target, low)

    return write_rows


def _tiled_sums(taps, stride, edges):
    """The function that adds up the weight gradient for one number of taps and stride."""
    wide = _wide(taps, stride)

    @inner
    def add_sums(q, x, dy, first, rows, target, padded, asked, kind):
        """Add what `rows` rows of dy from `first` on give, at whole vectors of channels."""
        width, offset, size, vectors = (
            q[p.W_OUT],
            q[p.W_OFFSET],
            q[p.W_SIZE],
            q[p.CHANNELS] // LANES,
        )
        pitch = padded * 8
        for r in range(0, q[p.H_TAPS], KERNEL_ROWS):
            top = q[p.H_STRIDE] * first + q[p.H_OFFSET] + r * q[p.H_STEP]
            there, count = target + r * taps * pitch, min(KERNEL_ROWS, q[p.H_TAPS] - r)
            if width % WIDE == 0 and wide(q):
                weight_columns(
                    WIDE, taps, stride, edges, kind, x, q[p.X_H], q[p.X_W], top, q[p.H_STEP],
                    q[p.H_STRIDE], q[p.H_SIZE], count, offset, size, dy, q[p.OUT_H], q[p.OUT_W],
                    width, rows, vectors, there, pitch, taps * pitch, 0 if r else asked,
                )  # fmt: skip  # one argument a line would hide the loop
            else:
                weight_columns(
                    COLUMNS, taps, stride, edges, kind, x, q[p.X_H], q[p.X_W], top, q[p.H_STEP],
                    q[p.H_STRIDE], q[p.H_SIZE], count, offset, size, dy, q[p.OUT_H], q[p.OUT_W],
                    width, rows, vectors, there, pitch, taps * pitch, 0 if r else asked,
                )  # fmt: skip  # as above

    return add_sums


@inner
def _no_sums(q, x, dy, first, rows, target, padded, asked, kind):
    """No tile fits."""


@inner
def _tap_sum(x, xcol, dy, ycol, count, lanes, kind, target):
    """Add dy * x over `count` columns to one tap, for up to sixteen channels."""
    a = splat(NOUGHT)
    b = a
    for k in range(0, count - 1, 2):
        here, there = x + k * xcol, dy + k * ycol
        a = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), a)
        here, there = here + xcol, there + ycol
        b = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), b)
    if count % 2:
        here, there = x + (count - 1) * xcol, dy + (count - 1) * ycol
        a = fma(load_lanes(here, 0, lanes, kind), load_lanes(there, 0, lanes, kind), a)
    add_to_doubles(target, add(a, b))


@inner
def _plain_sums(q, x, xrow, dy, rows, lanes, target, pitch, kind):
    """The same a tap at a time, for any step, number of taps and channels."""
    stride, xcol, ycol = q[p.W_STRIDE], q[p.X_W], q[p.OUT_W]
    for tap in range(q[p.W_TAPS]):
        start = q[p.W_OFFSET] + tap * q[p.W_STEP]
        # Column k reads stride * k + start: inside the input for k in [low, high).
        low = max(0, -(start // stride))
        high = min(q[p.W_OUT], (q[p.W_SIZE] - 1 - start) // stride + 1)
        here = x + (stride * low + start) * xcol
        for row in range(rows if low < high else 0):
            there = dy + row * q[p.OUT_H] + low * ycol
            _tap_sum(
                here + row * xrow,
                stride * xcol,
                there,
                ycol,
                high - low,
                lanes,
                kind,
                target + tap * pitch,
            )


@inner
def _no_plain_sums(q, x, xrow, dy, rows, lanes, target, pitch, kind):
    """Tiles take all channels."""


def weight_rows(tiles, edges):
    """The function that adds up the weight gradient, compiled for the tiles of a forward pass.

    edges: as for `filter_rows`.
    """
    taps, stride = tiles[-1]
    fits = taps in (3, 5, 7)
    tile_sums = _tiled_sums(taps, stride, edges) if fits else _no_sums
    plain_sums = _no_plain_sums if fits and PLAIN not in tiles else _plain_sums

    @inner
    def add_rows(q, x, dy, sums, padded, n, first, end, asked, kind):
        """Add to the weight gradient what output rows [first, end) of image n give; q is forward.

        Meanwhile memory is asked for as much as these rows of dy from `asked` on; 0: for nothing.
        """
        size, pitch, stride, done = element_bytes(kind), padded * 8, q[p.H_STRIDE], 0
        x += n * q[p.X_N]
        dy += n * q[p.OUT_N]
        end = min(end, q[p.H_OUT])
        if fits and q[p.TILED]:
            done = q[p.CHANNELS] - q[p.CHANNELS] % LANES
            here = dy + first * q[p.OUT_H]
            tile_sums(q, x, here, first, end - first, sums, padded, asked, kind)
        for row in range(q[p.H_TAPS] if done < q[p.CHANNELS] else 0):
            start = q[p.H_OFFSET] + row * q[p.H_STEP]
            low = max(first, -(start // stride))
            high = min(end, (q[p.H_SIZE] - 1 - start) // stride + 1)
            xs, ys = x + (stride * low + start) * q[p.X_H], dy + low * q[p.OUT_H]
            target, xrow = sums + row * q[p.KERNEL_W] * pitch, stride * q[p.X_H]
            for c in range(done, q[p.CHANNELS], LANES):
                lanes, here, there = q[p.CHANNELS] - c, xs + c * size, ys + c * size
                plain_sums(q, here, xrow, there, high - low, lanes, target + c * 8, pitch, kind)

    return add_rows
