"""Ordinary, strided, dilated, 1 x 1, grouped, shuffled and transposed convolution by name."""

from convatlas.ops.arithmetic import transposed_size
from convatlas.ops.catalog.op_spec import OpSpec, compared_with, cube, number_or_rule, output_sizes
from convatlas.ops.counts import count_conv, count_transposed


def spec_conv(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    stride: int = 1,
    padding: str = "same",
    dilation: int = 1,
    groups: int = 1,
) -> OpSpec:
    """Reads a window of all channels for every output: the ordinary convolution."""
    from convatlas.ops.convolution import Conv

    out = output_sizes(size, kernel, dims, stride, padding, dilation)
    sides = number_or_rule(padding)
    return OpSpec(
        (in_channels, *cube(size, dims)),
        (out_channels, *out),
        lambda: Conv(
            in_channels,
            out_channels,
            kernel,
            dims=dims,
            stride=stride,
            padding=sides,
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        count_conv(in_channels, out_channels, kernel, out, groups=groups),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_strided(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    stride: int = 2,
    padding: str = "same",
) -> OpSpec:
    """Moves the window by more than one: fewer outputs, and so fewer multiply-adds."""
    chosen = spec_conv(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        size=size,
        dims=dims,
        stride=stride,
        padding=padding,
    )
    dense = output_sizes(size, kernel, dims, 1, padding, 1)
    return compared_with(chosen, count_conv(in_channels, out_channels, kernel, dense))


def spec_dilated(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    dilation: int = 2,
    padding: str = "same",
) -> OpSpec:
    """Leaves holes between the weights: a wider view for the same cost."""
    return spec_conv(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        size=size,
        dims=dims,
        dilation=dilation,
        padding=padding,
    )


def spec_pointwise(
    *, in_channels: int = 16, out_channels: int = 32, size: int = 14, dims: int = 2, groups: int = 1
) -> OpSpec:
    """Mixes the channels at each position, 1 x 1; compared with a 3 x 3."""
    chosen = spec_conv(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=1,
        size=size,
        dims=dims,
        groups=groups,
    )
    return compared_with(chosen, count_conv(in_channels, out_channels, 3, cube(size, dims)))


def spec_grouped(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    groups: int = 4,
    stride: int = 1,
) -> OpSpec:
    """Convolves parts of the channels, each part alone; parts never see each other."""
    return spec_conv(
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=kernel,
        size=size,
        dims=dims,
        groups=groups,
        stride=stride,
    )


def spec_shuffled_group(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 1,
    size: int = 14,
    dims: int = 2,
    groups: int = 4,
) -> OpSpec:
    """Shuffles after grouping, so that the next grouped layer reads from every group."""
    from convatlas.ops.shuffle import ShuffledGroupConv

    out = cube(size, dims)
    return OpSpec(
        (in_channels, *out),
        (out_channels, *out),
        lambda: ShuffledGroupConv(in_channels, out_channels, kernel, groups=groups, dims=dims),
        count_conv(in_channels, out_channels, kernel, out, groups=groups),
        count_conv(in_channels, out_channels, kernel, out),
    )


def spec_transposed(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 7,
    dims: int = 2,
    stride: int = 2,
    padding: int = 1,
    output_padding: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> OpSpec:
    """Spreads each input over a window; compared with a convolution of the output's size."""
    from convatlas.ops.transposed import TransposedConv

    side = transposed_size(
        size,
        kernel,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    inside, out = cube(size, dims), cube(side, dims)
    return OpSpec(
        (in_channels, *inside),
        (out_channels, *out),
        lambda: TransposedConv(
            in_channels,
            out_channels,
            kernel,
            dims=dims,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        ),
        count_transposed(in_channels, out_channels, kernel, inside, groups=groups),
        count_conv(in_channels, out_channels, kernel, out),
    )
