"""Convolution, normalisation, activation: the line that most networks are written in."""

from collections.abc import Callable

from torch import nn


class ConvNormAct(nn.Sequential):
    """A convolution without bias, padded to keep its size, then batch norm and activation.

    Args:
        kernel: side of the window, or (height, width); odd, so that the padding is even.
        act: class of the activation, called with no argument; None leaves the output linear.
        norm_eps: added to the variance by the norm.
        conv: class of the convolution, for one that pads in another way.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))

    Cost: in_channels / groups * out_channels * area of the window multiply-adds per output pixel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        act: Callable[[], nn.Module] | None = nn.ReLU,
        norm_eps: float = 1e-5,
        conv: type[nn.Conv2d] = nn.Conv2d,
    ):
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        layers: list[nn.Module] = [
            conv(
                in_channels,
                out_channels,
                (height, width),
                stride=stride,
                padding=(height // 2, width // 2),
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels, eps=norm_eps),
        ]
        if act is not None:
            layers.append(act())
        super().__init__(*layers)
