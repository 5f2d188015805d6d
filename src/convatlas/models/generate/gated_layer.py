"""A layer of Gated PixelCNN: a vertical and a horizontal convolution, each behind tanh and sigmoid.

Source: van den Oord et al., 2016, arXiv:1606.05328, figure 2 and equations 2 to 4.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.models.generate.masked_layers import AboveConv2d, LeftConv2d, MaskedConv2d
from convatlas.ops.gated import gtu


class GatedLayer(nn.Module):
    """Read above and to the left of each place; the horizontal maps read the vertical ones.

    A residual connection runs along the horizontal maps, from the second layer on.

    Args:
        maps: of either stack, a multiple of the colours.
        first: the input is the image, whose own values stay hidden.
        last: nothing reads its vertical maps.

    Shape: vertical and horizontal (n, in_channels, h, w) -> both (n, maps, h, w); what is told
        (n, 2 maps, h or 1, w or 1)

    Cost: with k the kernel, r = k // 2 and c the channels read, at each place
        2 maps * (c * (r + 1) * k + c * (r + 1) + 2 maps) + maps² multiply-adds; the first layer
        reads r rows above instead of r + 1.
    """

    def __init__(
        self,
        in_channels: int,
        maps: int,
        kernel: int,
        *,
        colours: int,
        first: bool,
        last: bool,
    ):
        super().__init__()
        kind = "A" if first else "B"
        self.is_first, self.is_last = first, last
        # The second half of 2 maps has the colours of the first, as maps are a multiple of them.
        self.above = AboveConv2d(in_channels, 2 * maps, kernel, own_row=not first)
        self.left = LeftConv2d(in_channels, 2 * maps, kernel, kind=kind, colours=colours)
        self.link = nn.Conv2d(2 * maps, 2 * maps, 1)  # rows above: every colour may be seen
        self.mix = MaskedConv2d(maps, maps, 1, kind="B", colours=colours)

    def forward(
        self,
        vertical: Tensor,
        horizontal: Tensor,
        told_vertical: Tensor | None = None,
        told_horizontal: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        above = self.above(vertical)
        y = self.mix(gtu(plus(self.left(horizontal) + self.link(above), told_horizontal)))
        horizontal = y if self.is_first else horizontal + y
        return self.up(above, vertical, told_vertical), horizontal

    def up(self, above: Tensor, vertical: Tensor, told: Tensor | None) -> Tensor:
        """Return the vertical maps of the next layer; the last one leaves them as they are.

        Shape: above (n, 2 maps, h, w) -> (n, maps, h, w)
        """
        return vertical if self.is_last else gtu(plus(above, told))


class Told(nn.Module):
    """What a layer adds for the numbers told of an image: a bias for each channel, or for each
    channel and place.

    Args:
        conditions: numbers that are told.
        maps: of either stack.
        last: the layer has no gate for its vertical maps.

    Shape: (n, conditions, h or 1, w or 1) -> for vertical and horizontal maps (n, 2 maps, …)

    Cost: conditions * 2 maps multiply-adds for each of both, at each place where places differ.
    """

    def __init__(self, conditions: int, maps: int, *, last: bool):
        super().__init__()
        self.vertical = None if last else nn.Conv2d(conditions, 2 * maps, 1, bias=False)
        self.horizontal = nn.Conv2d(conditions, 2 * maps, 1, bias=False)

    def forward(self, condition: Tensor) -> tuple[Tensor | None, Tensor]:
        vertical = None if self.vertical is None else self.vertical(condition)
        return vertical, self.horizontal(condition)


def plus(x: Tensor, told: Tensor | None) -> Tensor:
    """Add what is told, if anything is. Shape: (n, c, h, w), (n, c, h or 1, w or 1) -> as x"""
    return x if told is None else x + told


def spread_condition(condition: Tensor, x: Tensor, *, located: bool) -> Tensor:
    """Bring what is told of images to the form that `Told` takes.

    Args:
        located: it is a map, enlarged to the image by nearest neighbours; otherwise a vector.

    Shape: (n, k) -> (n, k, 1, 1), or (n, k, i, j) -> (n, k, h, w)
    """
    if not located:
        return condition.unsqueeze(-1).unsqueeze(-1)
    return F.interpolate(condition, size=x.shape[-2:], mode="nearest")
