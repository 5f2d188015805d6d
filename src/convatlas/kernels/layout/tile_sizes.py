"""How large the register tiles are: of a depthwise filter, of its weight gradient, of a product."""

from typing import NamedTuple

from convatlas.kernels.runtime.hardware import vector_registers

TILE_ROWS = 6  # of a product (`gemm_tile.py`)
COLUMNS, WIDE = 4, 7  # of a tile of the weight gradient (`weight_tile.py`)
WIDTHS = (4, 5, 7)  # columns; the maps of most networks are a multiple of one of them wide
MIN_COLUMNS = 2  # columns, as measured where few registers mean that sums are spilled
HELD_TAPS = 9  # weights up to this number stay in registers


class Strip(NamedTuple):
    """Neighbouring outputs that are followed down the rows, and the filter they belong to."""

    columns: int
    h_taps: int
    h_stride: int
    w_taps: int
    w_stride: int

    def name(self) -> str:
        """Return a name such as 7of3x3by1x1."""
        return f"{self.columns}of{self.h_taps}x{self.w_taps}by{self.h_stride}x{self.w_stride}"


def strip_columns(h_taps, h_stride, w_taps, w_stride, width: int) -> int:
    """Return the columns of a strip of outputs whose sums stay in registers.

    Beside them either all weights are held and one input, or a row of inputs and one weight. Of
    what fits, the width that computes fewest columns twice, then the narrowest.
    """
    alive, room = -(-h_taps // h_stride), vector_registers()
    if h_taps * w_taps <= HELD_TAPS and room > 2 * HELD_TAPS:
        most = (room - 1 - h_taps * w_taps) // alive
    else:
        most = (room - 1 - w_taps + w_stride) // (alive + w_stride)
    choices = [columns for columns in WIDTHS if columns <= most] or [max(MIN_COLUMNS, most)]
    return min(choices, key=lambda columns: -(-width // columns) * columns)
