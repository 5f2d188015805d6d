"""Layers that see earlier values only: masked convolutions, and the same at one place of an image.

Source: van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016,
    arXiv:1601.06759, section 3.4.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.ops.masked import reading_order_mask


class MaskedConv2d(nn.Conv2d):
    """Convolve with the mask of `ops.masked.reading_order_mask`; traceable, as the op is not.

    Args:
        kernel: height and width, odd.
        kind: A hides the value itself, for the first layer; B shows it.
        colours: channel i belongs to colour i mod colours.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)

    Cost: in_channels * out_channels * kernel² multiply-adds at each place, hidden ones as well.
    """

    mask: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, kind: str, colours: int
    ):
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2)
        mask = reading_order_mask(
            in_channels, out_channels, (kernel, kernel), kind, colours=colours
        )
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight * self.mask, self.bias, padding=self.padding)

    def at_place(self) -> "PlaceFilter":
        """Return the same filter for one place at a time."""
        rows = self.kernel_size[0] // 2 + 1  # those below are hidden
        return PlaceFilter((self.weight * self.mask)[:, :, :rows], self.bias)


class LeftConv2d(nn.Conv2d):
    """Convolve along a row with the value itself and those left of it, masked by colour.

    Args:
        kernel: width of the filter before it is masked; it reaches kernel // 2 to the left.
        kind: as in `MaskedConv2d`.
        colours: as in `MaskedConv2d`.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)

    Cost: in_channels * out_channels * (kernel // 2 + 1) multiply-adds at each place.
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        kind: str,
        colours: int,
    ):
        reach = kernel // 2
        super().__init__(in_channels, out_channels, (1, reach + 1))
        self.reach = reach
        mask = torch.ones(out_channels, in_channels, 1, reach + 1, dtype=torch.bool)
        own = reading_order_mask(in_channels, out_channels, (1, 1), kind, colours=colours)
        mask[..., reach:] = own
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(F.pad(input, (self.reach, 0)), self.weight * self.mask, self.bias)

    def at_place(self) -> "PlaceFilter":
        """Return the same filter for one place at a time."""
        return PlaceFilter(self.weight * self.mask, self.bias)


class AboveConv2d(nn.Conv2d):
    """Convolve with rows above the place, all colours and columns of them.

    Args:
        kernel: height and width of the filter before it is halved; it reaches kernel // 2 up.
        own_row: whether the row of the place counts, too: in maps that never saw their own row.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)

    Cost: in_channels * out_channels * rows * kernel multiply-adds at each place.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, own_row: bool):
        reach = kernel // 2
        super().__init__(in_channels, out_channels, (reach + own_row, kernel))
        self.reach, self.own_row = reach, own_row

    def forward(self, input: Tensor) -> Tensor:
        y = F.pad(input, (self.reach, self.reach, self.reach, 0))
        # One row fewer is read where the own row is left out.
        return F.conv2d(y if self.own_row else y[:, :, :-1], self.weight, self.bias)

    def of_row(self, rows: Tensor) -> Tensor:
        """Convolve for one row. Shape: the rows that it reads (n, c, rows, w) -> (n, d, 1, w)"""
        return F.conv2d(F.pad(rows, (self.reach, self.reach)), self.weight, self.bias)


class PlaceFilter:
    """A filter as a matrix, for the window of one place.

    Shape: (n, c, rows, columns) -> (n, d)
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.matrix, self.bias = weight.flatten(1), bias

    def __call__(self, window: Tensor) -> Tensor:
        return F.linear(window.flatten(1), self.matrix, self.bias)


class RowWindow:
    """The latest rows of some maps, as far as a filter looks back; earlier ones are forgotten.

    Args:
        like: gives batch, width, number type and device. Shape: (n, any, h, w)
        rows: that are kept, the one of the place among them.
        sides: columns of zeros on each side.
    """

    def __init__(self, like: Tensor, channels: int, rows: int, sides: tuple[int, int]):
        batch, width = like.shape[0], like.shape[-1] + sum(sides)
        self.kept = like.new_zeros(batch, channels, rows, width)
        self.row, self.left, self.reach = 0, sides[0], sum(sides)

    def move_to(self, row: int) -> None:
        """Make a row the last of those kept, empty where it is new."""
        if row != self.row:
            self.kept = torch.cat([self.kept[:, :, 1:], torch.zeros_like(self.kept[:, :, :1])], 2)
            self.row = row

    def put(self, values: Tensor, column: int) -> Tensor:
        """Store the values of a place in the last row and return the window around it.

        Shape: (n, c) -> (n, c, rows, 1 + sum of the sides)
        """
        self.kept[:, :, -1, self.left + column] = values
        return self.kept[:, :, :, column : column + self.reach + 1]


def image_window(image: Tensor, row: int, column: int, reach: int, *, above: int) -> Tensor:
    """Cut the window of a place out of an image, with zeros outside.

    Args:
        reach: columns on each side.
        above: rows; the last row of the window is that of the place.

    Shape: (n, c, h, w) -> (n, c, above + 1, 2 * reach + 1)
    """
    top, left = max(0, row - above), max(0, column - reach)
    right = min(image.shape[3], column + reach + 1)
    cut = image[:, :, top : row + 1, left:right]
    sides = (left - (column - reach), column + reach + 1 - right, top - (row - above), 0)
    return F.pad(cut, sides)
