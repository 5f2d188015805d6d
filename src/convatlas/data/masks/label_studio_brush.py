"""What was painted with Label Studio's brush: an image of red, green, blue and opacity, in runs.

Bits come one after another, the highest of a byte first: 32 say how many values there are, 5 how
many bits a value has (less one), four times 4 how many bits a length has (less one). Then runs
follow: one bit, two that choose among the lengths' bits, the length (less one), and one value for
the whole run where the bit is set, else each value of it.

Source: the `rle-pack` format of thi.ng/umbrella, which Label Studio writes as `"format": "rle"`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from convatlas.data.masks.outlines import mask_to_runs

COLOURS = 4  # values of a pixel: red, green, blue, opacity
MIN_OPACITY = 128  # from which on a pixel belongs to the object
DAMAGED = "its run lengths are damaged"


def brush_runs(code: Any, size: tuple[int, int]) -> tuple[int, ...]:
    """Return runs down the columns, as `Outline` takes them.

    Args:
        code: whole numbers from 0 to 255.
        size: width and height of the image in pixels.

    Raises:
        ValueError: the code is damaged, or of another image.
    """
    width, height = size
    values = _unpacked(_bits(code), width * height * COLOURS)
    return mask_to_runs(values[COLOURS - 1 :: COLOURS].reshape(height, width) >= MIN_OPACITY)


def _bits(code: Any) -> np.ndarray:
    plain = isinstance(code, Sequence) and all(type(n) is int and 0 <= n <= 255 for n in code)
    if not plain or isinstance(code, str):
        raise ValueError(DAMAGED)
    return np.unpackbits(np.array(code, dtype=np.uint8))


def _unpacked(bits: np.ndarray, wanted: int) -> np.ndarray:
    """Read all values. Shape: uint8 (bits,) -> uint8 (wanted,)"""
    reader = _Reader(bits)
    count, width = reader.number(32), reader.number(5) + 1
    lengths = [reader.number(4) + 1 for _ in range(4)]
    if count != wanted:
        raise ValueError(f"it has {count // COLOURS:,} pixels, the image has {wanted // COLOURS:,}")
    if width != 8:
        raise ValueError(f"its values have {width} bits, not 8")
    values, place = np.empty(count, dtype=np.uint8), 0
    while place < count:
        same = reader.number(1)
        end = place + reader.number(lengths[reader.number(2)]) + 1
        if end > count:
            raise ValueError(DAMAGED)
        values[place:end] = reader.bytes(1 if same else end - place)
        place = end
    return values


class _Reader:
    """Reads numbers of a stated number of bits, one after another."""

    def __init__(self, bits: np.ndarray):
        self._bits, self._place = bits, 0

    def number(self, width: int) -> int:
        return int("".join(map(str, self._next(width))), 2)

    def bytes(self, count: int) -> np.ndarray:
        return np.packbits(self._next(8 * count))

    def _next(self, count: int) -> np.ndarray:
        found = self._bits[self._place : self._place + count]
        if len(found) < count:
            raise ValueError(DAMAGED)
        self._place += count
        return found
