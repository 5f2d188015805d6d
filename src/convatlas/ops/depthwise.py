"""Depthwise convolution: each channel is filtered alone.

Source: Howard et al., "MobileNets", 2017, arXiv:1704.04861, section 3.1, equation 3.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.kernels.runtime.dispatch import usable
from convatlas.ops.arithmetic import Padding, WindowAxis, window_axes
from convatlas.ops.convolution import check_conv, conv
from convatlas.ops.weights import new_filters


def depthwise_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Apply one filter or more to every channel: a grouped convolution, a group per channel.

    One filter a channel, without bias and padded alike on both sides, runs on the CPU by the
    kernels of `convatlas.kernels` where those are installed and switched on.

    Shape:
        x        (n, c, i…)
        weight   (a c, 1, k…), a filters for channel 0 first; a is the multiplier
        returns  (n, a c, ceil(i / stride)…) with padding `same`

    Cost: a * c * k… multiply-adds per output position.

    Raises:
        UsageError: the filters are not a multiple of the channels, or read more than one.
    """
    channels, filters = x.shape[1], weight.shape[0]
    if filters % channels or weight.shape[1] != 1:
        raise UsageError(
            f"depthwise_conv: {channels} channels need filters (a * {channels}, 1, k…), "
            f"got {tuple(weight.shape)}"
        )
    check_conv(x, weight, channels)
    axes = window_axes(
        x.shape[2:], weight.shape[2:], stride=stride, padding=padding, dilation=dilation
    )
    alike = all(axis.before == axis.after for axis in axes)
    plain = bias is None and filters == channels and alike and len(axes) < 3
    if plain and usable(x, weight):
        return _by_kernel(x, weight, axes)
    return conv(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=channels)


def _by_kernel(x: Tensor, weight: Tensor, axes: Sequence[WindowAxis]) -> Tensor:
    """Convolve by the kernels; their own rule leaves unknown shapes to torch."""
    # Imported here: what the kernels need is not needed by torch's form.
    from convatlas.kernels.layers.depthwise import depthwise_conv1d, depthwise_conv2d

    if len(axes) == 1:
        stride, padding, _, dilation, _ = axes[0]
        return depthwise_conv1d(x, weight, stride=stride, padding=padding, dilation=dilation)
    high, wide = axes
    return depthwise_conv2d(
        x,
        weight,
        stride=(high.stride, wide.stride),
        padding=(high.before, wide.before),
        dilation=(high.dilation, wide.dilation),
    )


class DepthwiseConv(nn.Module):
    """`depthwise_conv` with its weights.

    Args:
        multiplier: filters on each channel.
        dims: axes after the channels, 1 to 3.

    Shape: (n, channels, i…) -> (n, multiplier * channels, ceil(i / stride)…)

    Cost: as in `depthwise_conv`.
    """

    def __init__(
        self,
        channels: int,
        kernel: int | Sequence[int],
        *,
        multiplier: int = 1,
        dims: int = 2,
        stride: int | Sequence[int] = 1,
        padding: Padding = "same",
        dilation: int | Sequence[int] = 1,
    ):
        super().__init__()
        self.weight = new_filters(multiplier * channels, 1, kernel, dims)
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        return depthwise_conv(
            x, self.weight, stride=self.stride, padding=self.padding, dilation=self.dilation
        )
