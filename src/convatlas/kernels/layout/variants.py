"""What every depthwise kernel is handed: the sizes of its result and its plans."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from convatlas.kernels.layout import plan as p
from convatlas.kernels.layout.channels import LANES
from convatlas.kernels.layout.tile_sizes import Strip
from convatlas.kernels.runtime.records import PlanRows


def output_sides(x_shape, weight_shape, stride, padding, dilation) -> tuple[int, int]:
    """Return height and width of the result."""
    sides = zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    height, width = (p.output_size(*side) for side in sides)
    return height, width


class Variant(NamedTuple):
    """What a kernel is compiled for: strips, and whether also what has none (a tap at a time)."""

    strips: tuple[Strip, ...]
    plain: bool

    def name(self) -> str:
        """Return a name such as 7of3x3by1x1."""
        return "+".join([*(strip.name() for strip in self.strips), *["plain"] * self.plain])


class Sums(NamedTuple):
    """The same of a weight gradient: taps and stride of its tiles."""

    tiles: tuple[tuple[int, int], ...]
    plain: bool

    def name(self) -> str:
        """Return a name such as 3by1."""
        tiles = [f"{taps}by{stride}" for taps, stride in self.tiles]
        return "+".join([*tiles, *["plain"] * self.plain])


class Plans(NamedTuple):
    """What a depthwise kernel does, and what it must have been compiled for."""

    rows: np.ndarray  # the forward plan and, where it is needed, those of the input gradient
    forward: Variant
    sums: Sums
    backward: Variant
    place: PlanRows

    @classmethod
    def of(cls, rows: np.ndarray, forward: Variant, sums: Sums, backward: Variant) -> "Plans":
        """Find out the address once: asking an array for it takes as long as a small layer."""
        return cls(rows, forward, sums, backward, PlanRows(rows.ctypes.data, *rows.shape))


def _variant(rows: Sequence[tuple[int, ...]]) -> Variant:
    sides = (p.H_TAPS, p.H_STRIDE, p.W_TAPS, p.W_STRIDE)
    strips = {Strip(row[p.STRIP], *(row[side] for side in sides)) for row in rows if row[p.STRIP]}
    plain = any(not row[p.STRIP] or row[p.CHANNELS] % LANES for row in rows)
    return Variant(tuple(sorted(strips)), plain)


def _sums(row: tuple[int, ...]) -> Sums:
    tiles = ((row[p.W_TAPS], row[p.W_STRIDE]),) if row[p.TILED] else ()
    return Sums(tiles, not row[p.TILED] or row[p.CHANNELS] % LANES > 0)


@lru_cache(maxsize=4096)
def plans_of(sizes, source, target, pitches, size, channels, stream, needed) -> Plans:
    """Return the plans of a layer; `needed` says whether its input gradient is."""
    x_pitch, out_pitch, dx_pitch = (tuple(size * step for step in pitch) for pitch in pitches)
    forward = p.plan(False, source, target, *sizes, channels, x_pitch, out_pitch, stream)
    backward = ()
    if needed:
        backward = p.plan(True, source, target, *sizes, channels, out_pitch, dx_pitch, stream)
    rows = np.array(forward + backward, dtype=np.int64)
    return Plans.of(rows, _variant(forward), _sums(forward[0]), _variant(backward))
