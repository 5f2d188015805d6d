"""What every depthwise kernel is handed: the sizes of its result and its plans."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convatlas.ops.kernels import plan as p
from convatlas.ops.kernels.channel_layout import LANES


def output_sides(x_shape, weight_shape, stride, padding, dilation) -> tuple[int, int]:
    """Height and width of the result."""
    sides = zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    height, width = (p.output_size(*side) for side in sides)
    return height, width


# Pairs of taps and stride that have tiles; PLAIN: also what has none, a tap at a time.
Tiles = tuple[tuple[int, int], ...]
PLAIN = (0, 0)


class Plans(NamedTuple):
    """What a depthwise kernel does, and what it must have been compiled for."""

    rows: np.ndarray  # the forward plan and, where it is needed, those of the input gradient
    forward: Tiles
    backward: Tiles
    place: tuple[int, int, int]  # the address of the rows, how many, and how long they are

    @classmethod
    def of(cls, rows: np.ndarray, forward: Tiles, backward: Tiles) -> "Plans":
        """Found out once: asking an array for its address takes as long as a small layer."""
        return cls(rows, forward, backward, (rows.ctypes.data, *rows.shape))


def _tiles(rows: Sequence[tuple[int, ...]]) -> Tiles:
    found = {(row[p.W_TAPS], row[p.W_STRIDE]) if row[p.TILED] else PLAIN for row in rows}
    if any(row[p.CHANNELS] % LANES for row in rows):
        found.add(PLAIN)
    return tuple(sorted(found))


@lru_cache(maxsize=4096)
def plans_of(sizes, source, target, pitches, size, channels, stream, needed) -> Plans:
    """The plans of a layer; `needed` says whether its input gradient is."""
    x_pitch, out_pitch, dx_pitch = (tuple(size * step for step in pitch) for pitch in pitches)
    forward = p.plan(False, source, target, *sizes, channels, x_pitch, out_pitch, stream)
    backward = ()
    if needed:
        backward = p.plan(True, source, target, *sizes, channels, out_pitch, dx_pitch, stream)
    rows = np.array(forward + backward, dtype=np.int64)
    return Plans.of(rows, _tiles(forward), _tiles(backward))


def variant(*choices: Tiles) -> str:
    """The name of a kernel compiled for these: such as 3by1, or 3by2_1by1+2by1."""
    sides = ("+".join(f"{taps}by{stride}" for taps, stride in tiles) for tiles in choices)
    return "_".join(side.replace("0by0", "plain") for side in sides)
