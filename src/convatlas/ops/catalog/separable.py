"""Depthwise, separable in channels or in space, and the kinds between, by name."""

from convatlas.ops.catalog.op_spec import OpSpec, cube, number_or_rule, output_sizes
from convatlas.ops.counts import (
    count_conv,
    count_depthwise,
    count_pyramid,
    count_separable,
    count_spatially_separable,
    count_sub_separable,
    count_super_separable,
    count_two_step,
)


def spec_depthwise(
    *,
    channels: int = 16,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    multiplier: int = 1,
    stride: int = 1,
    dilation: int = 1,
) -> OpSpec:
    """Filters each channel alone; nothing mixes them."""
    from convatlas.ops.depthwise import DepthwiseConv

    out = output_sizes(size, kernel, dims, stride, "same", dilation)
    filters = channels * multiplier
    return OpSpec(
        (channels, *cube(size, dims)),
        (filters, *out),
        lambda: DepthwiseConv(
            channels, kernel, multiplier=multiplier, dims=dims, stride=stride, dilation=dilation
        ),
        count_depthwise(channels, kernel, out, multiplier=multiplier),
        count_conv(channels, filters, kernel, out),
    )


def spec_separable(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    multiplier: int = 1,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "same",
) -> OpSpec:
    """Filters each channel alone, then mixes the channels by 1 x 1: depthwise separable."""
    from convatlas.ops.separable import SeparableConv

    out = output_sizes(size, kernel, dims, stride, padding, dilation)
    sides = number_or_rule(padding)
    return OpSpec(
        (in_channels, *cube(size, dims)),
        (out_channels, *out),
        lambda: SeparableConv(
            in_channels,
            out_channels,
            kernel,
            multiplier=multiplier,
            dims=dims,
            stride=stride,
            padding=sides,
            dilation=dilation,
        ),
        count_separable(in_channels, out_channels, kernel, out, multiplier=multiplier),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_spatially_separable(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    stride: int = 1,
) -> OpSpec:
    """Applies a column, then a row of weights to each pair of channels: kernels of rank 1."""
    from convatlas.ops.spatially_separable import SpatiallySeparableConv

    out = output_sizes(size, kernel, 2, stride, "same", 1)
    between = (out[0], size)
    return OpSpec(
        (in_channels, size, size),
        (out_channels, *out),
        lambda: SpatiallySeparableConv(in_channels, out_channels, kernel, stride=stride),
        count_spatially_separable(in_channels, out_channels, kernel, out, between=between),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_two_step(
    *,
    in_channels: int = 16,
    middle_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    stride: int = 1,
) -> OpSpec:
    """Applies a full k x 1 convolution to some middle channels, then a full 1 x k one."""
    from convatlas.ops.spatially_separable import TwoStepConv

    out = output_sizes(size, kernel, 2, stride, "same", 1)
    return OpSpec(
        (in_channels, size, size),
        (out_channels, *out),
        lambda: TwoStepConv(in_channels, middle_channels, out_channels, kernel, stride=stride),
        count_two_step(
            in_channels, middle_channels, out_channels, kernel, out, between=(out[0], size)
        ),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_sub_separable(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 1,
    groups: int = 4,
) -> OpSpec:
    """Applies a grouped, then a full 1 x 1: between grouped and depthwise separable."""
    from convatlas.ops.sub_separable import SubSeparableConv

    out = cube(size, dims)
    return OpSpec(
        (in_channels, *out),
        (out_channels, *out),
        lambda: SubSeparableConv(in_channels, out_channels, kernel, groups=groups, dims=dims),
        count_sub_separable(in_channels, out_channels, kernel, out, groups=groups),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_super_separable(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 1,
    groups: int = 2,
) -> OpSpec:
    """Cuts the channels into slices, each depthwise separable on its own."""
    from convatlas.ops.super_separable import SuperSeparableConv

    out = cube(size, dims)
    return OpSpec(
        (in_channels, *out),
        (out_channels, *out),
        lambda: SuperSeparableConv(in_channels, out_channels, kernel, groups=groups, dims=dims),
        count_super_separable(in_channels, out_channels, kernel, out, groups=groups),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_pyramid(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernels: tuple[int, ...] = (3, 5, 7),
    size: int = 14,
    dims: int = 2,
    stride: int = 1,
    concat: bool = False,
) -> OpSpec:
    """Filters each channel alone with several sizes, then 1 x 1; compared with the largest."""
    from convatlas.ops.pyramid import PyramidConv

    out = output_sizes(size, max(kernels, default=0), dims, stride, "same", 1)
    return OpSpec(
        (in_channels, *cube(size, dims)),
        (out_channels, *out),
        lambda: PyramidConv(
            in_channels, out_channels, kernels, concat=concat, dims=dims, stride=stride
        ),
        count_pyramid(in_channels, out_channels, kernels, out, concat=concat, dims=dims),
        count_conv(in_channels, out_channels, max(kernels), out),
    )
