"""Masked convolution: an output sees only what comes before it in reading order.

Type A hides the output's own place too, for the first layer, whose input is what is predicted;
type B shows it, for the layers after.

Source: van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016,
    arXiv:1601.06759, section 3.4 and figure 4.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import each_axis
from convatlas.ops.convolution import conv
from convatlas.ops.weights import new_bias, new_filters


def reading_order_mask(
    in_channels: int, out_channels: int, kernel: Sequence[int], kind: str, *, colours: int = 1
) -> Tensor:
    """Return 1 where a weight may act, 0 where it would read ahead.

    Before the centre in reading order all is seen, after it nothing. At the centre a channel of
    colour j sees colours below j (A), or up to j (B); with one colour, nothing or all.

    Args:
        kind: A or B.
        colours: values predicted at one place, one after the other; channel i is of colour
            i mod colours.

    Shape: (out_channels, in_channels, k…), boolean

    Cost: no multiply-adds.

    Raises:
        UsageError: an even kernel, which has no centre; another kind; fewer channels than colours.
    """
    if any(k < 1 or k % 2 == 0 for k in kernel):
        raise UsageError(f"reading_order_mask: kernel must be odd, got {tuple(kernel)}")
    if kind not in ("A", "B"):
        raise UsageError(f"reading_order_mask: kind must be A or B, got '{kind}'")
    if not 1 <= colours <= min(in_channels, out_channels):
        raise UsageError(
            f"reading_order_mask: {colours} colours need as many channels on both sides, got "
            f"{in_channels} and {out_channels}"
        )
    taps = math.prod(kernel)
    mask = torch.zeros(out_channels, in_channels, taps, dtype=torch.bool)
    mask[:, :, : taps // 2] = True
    seen, by = _colours_of(in_channels, colours)[None], _colours_of(out_channels, colours)[:, None]
    # Written into the mask itself: a large network must not need its masks twice while it is built.
    (torch.lt if kind == "A" else torch.le)(seen, by, out=mask[:, :, taps // 2])
    return mask.view(out_channels, in_channels, *kernel)


def _colours_of(channels: int, colours: int) -> Tensor:
    return torch.arange(channels, dtype=torch.int16).remainder_(colours)


def masked_conv(x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with hidden weights at zero, whatever they are set to.

    Shape:
        x        (n, c, i…)
        weight   (d, c, k…), k odd
        mask     (d, c, k…)
        returns  (n, d, i…)

    Cost: c * d * k… multiply-adds per output position; a mask zeroes weights, it removes none.

    Raises:
        UsageError: mask and weight differ in shape, or as `conv`.
    """
    if mask.shape != weight.shape:
        raise UsageError(
            f"masked_conv: mask and weight must have one shape, got {tuple(mask.shape)} and "
            f"{tuple(weight.shape)}"
        )
    return conv(x, weight * mask, bias, padding="same")


class MaskedConv(nn.Module):
    """`masked_conv` with its weights and the mask of `reading_order_mask`.

    Args:
        kind: A for the first layer, B for the others.
        colours: as in `reading_order_mask`.
        dims: axes after the channels, 1 to 3.

    Shape: (n, in_channels, i…) -> (n, out_channels, i…)

    Cost: as in `masked_conv`.
    """

    mask: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        *,
        kind: str,
        colours: int = 1,
        dims: int = 2,
        bias: bool = True,
    ):
        super().__init__()
        sizes = each_axis(kernel, dims, "kernel")
        mask = reading_order_mask(in_channels, out_channels, sizes, kind, colours=colours)
        self.register_buffer("mask", mask, persistent=False)
        self.weight = new_filters(out_channels, in_channels, sizes, dims)
        self.bias = new_bias(out_channels, in_channels * math.prod(sizes)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return masked_conv(x, self.weight, self.mask, self.bias)
