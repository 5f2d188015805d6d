"""A Gated PixelCNN while it draws: a row of the vertical stack at once, then place by place.

The vertical maps of a row depend on the rows above alone, so they are computed when the row begins;
within the row a place costs the horizontal stack at that place.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.models.generate.gated_layer import GatedLayer, plus
from convatlas.models.generate.masked_layers import RowWindow, image_window

ToldPair = tuple[Tensor | None, Tensor | None]


class GatedSteps:
    """Logits of one place after the other, in reading order.

    Args:
        layers: of the network.
        head: 1 x 1 layers behind them.
        image: gives batch, height and width.
        told: what each layer adds to its vertical and horizontal maps.

    Shape: image (n, colours, h, w) -> (n, outputs * colours) for each place
    """

    def __init__(
        self, layers: Sequence[GatedLayer], head: nn.Module, image: Tensor, told: Sequence[ToldPair]
    ):
        self.head, self.row = head, -1
        pairs = zip(layers, told, strict=True)
        self.layers = [_LayerSteps(layer, image, pair) for layer, pair in pairs]

    def maps(self, image: Tensor, row: int, column: int) -> Tensor:
        """Return the head's answer for a place. Shape: (n, c, h, w) -> (n, outputs * colours)"""
        if row != self.row:
            self._begin(image, row)
        first, *later = self.layers
        reach = first.layer.left.reach
        window = image_window(image, row, column, reach, above=0)[..., : reach + 1]
        y = first.place(window, column)
        for layer in later:
            y = y + layer.place(layer.beside.put(y, column), column)
        return self.head(y[:, :, None, None]).flatten(1)

    def _begin(self, image: Tensor, row: int) -> None:
        """Compute the vertical maps of a row whose rows above are known."""
        self.row = row
        first, *later = self.layers
        reach = first.layer.above.reach
        known = image[:, :, max(0, row - reach) : row]
        vertical = first.begin(F.pad(known, (0, 0, reach - known.shape[2], 0)), row)
        for layer in later:
            vertical = layer.begin(layer.rows_with(vertical), row)


class _LayerSteps:
    def __init__(self, layer: GatedLayer, image: Tensor, told: ToldPair):
        batch, _, _, width = image.shape
        self.layer, self.told = layer, told
        self.left, self.mix = layer.left.at_place(), layer.mix.at_place()
        channels, rows = layer.above.in_channels, layer.above.kernel_size[0]
        self.above = image.new_zeros(batch, channels, rows, width)
        self.sides = (layer.left.reach, 0)
        self.image = image[:, :1]
        self.beside = RowWindow(self.image, channels, 1, self.sides)
        self.linked = image.new_zeros(0)  # what the row's places read of the vertical maps

    def rows_with(self, newest: Tensor) -> Tensor:
        """Return the rows that the vertical convolution reads. Shape: (n, c, 1, w) -> (…, r, w)"""
        self.above = torch.cat([self.above[:, :, 1:], newest], dim=2)
        return self.above

    def begin(self, rows: Tensor, row: int) -> Tensor:
        """Return the vertical maps of a row. Shape: (n, c, r, w) -> (n, maps, 1, w)"""
        self.beside = RowWindow(self.image, self.layer.left.in_channels, 1, self.sides)
        above = self.layer.above.of_row(rows)
        linked = self.layer.link(above)
        told_up, told_here = (_of_row(told, row) for told in self.told)
        self.linked = plus(linked, told_here)[:, :, 0]
        return self.layer.up(above, rows[:, :, -1:], told_up)

    def place(self, window: Tensor, column: int) -> Tensor:
        """Return what the layer gives for a place. Shape: (n, c, 1, r + 1) -> (n, maps)"""
        values, gates = (self.left(window) + self.linked[:, :, column]).chunk(2, dim=1)
        y = values.tanh() * gates.sigmoid()
        return self.mix(y[:, :, None, None])


def _of_row(told: Tensor | None, row: int) -> Tensor | None:
    """Return what is told of one row, of all places alike or of each by itself."""
    return told if told is None or told.shape[2] == 1 else told[:, :, row : row + 1]
