"""Sizes, reach and cost of convolutions and poolings, in whole numbers; nothing is built.

Along one axis: size i, kernel k, stride s, dilation d, padding p on each side.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
    arXiv:1603.07285, relationships 5, 6 and 14.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from convatlas.errors import UsageError
from convatlas.ops.counts import (
    Count,
    count_causal,
    count_chebyshev,
    count_conv,
    count_depthwise,
    count_first_order,
    count_gated,
    count_pointwise,
    count_pyramid,
    count_separable,
    count_spatially_separable,
    count_spectral,
    count_sub_separable,
    count_super_separable,
    count_transposed,
    count_two_step,
)

__all__ = [
    "AxisPadding",
    "Count",
    "Padding",
    "WindowAxis",
    "check_groups",
    "count_causal",
    "count_chebyshev",
    "count_conv",
    "count_depthwise",
    "count_first_order",
    "count_gated",
    "count_pointwise",
    "count_pyramid",
    "count_separable",
    "count_spatially_separable",
    "count_spectral",
    "count_sub_separable",
    "count_super_separable",
    "count_transposed",
    "count_two_step",
    "each_axis",
    "effective_kernel",
    "inserted_size",
    "output_padding_for",
    "output_size",
    "padding_sides",
    "pooled_size",
    "receptive_field",
    "transposed_padding",
    "transposed_size",
    "window_axes",
]

AxisPadding = int | str | tuple[int, int]
Padding = int | str | Sequence[AxisPadding]

RULES = ("valid", "same", "causal", "full")

T = TypeVar("T")


class WindowAxis(NamedTuple):
    """How a window moves along one axis, and how often it finds a place."""

    stride: int
    before: int
    after: int
    dilation: int
    output: int


def each_axis(value: T | Sequence[T], dims: int, what: str) -> tuple[T, ...]:
    """Return one value per axis: repeat a single one, check that a sequence has one for each.

    Raises:
        UsageError: a sequence of another length.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (value,) * dims  # pyright: ignore[reportReturnType]  a str is a single value here
    if len(value) != dims:
        raise UsageError(f"{what}: one value for each of {dims} axes, got {tuple(value)}")
    return tuple(value)


def effective_kernel(kernel: int, dilation: int = 1) -> int:
    """Return how many input positions a dilated kernel spans: d (k - 1) + 1.

    Raises:
        UsageError: kernel or dilation below 1.
    """
    _positive("effective_kernel", kernel=kernel, dilation=dilation)
    return dilation * (kernel - 1) + 1


def padding_sides(padding: AxisPadding, kernel: int, dilation: int = 1) -> tuple[int, int]:
    """Return the positions added before and after one axis.

    Args:
        padding: a number for both sides; a pair; or a rule. `valid`: none. `same`: d (k - 1) in
            all, the odd one after, so that the output has ceil(i / s) positions. `causal`:
            d (k - 1) before, so that no output sees a later input. `full`: d (k - 1) on both
            sides, so that every overlap counts.

    Raises:
        UsageError: an unknown rule, a number below 0, or not a pair.
    """
    reach = effective_kernel(kernel, dilation) - 1
    if isinstance(padding, str):
        rules = {
            "valid": (0, 0),
            "same": (reach // 2, reach - reach // 2),
            "causal": (reach, 0),
            "full": (reach, reach),
        }
        if padding not in rules:
            raise UsageError(f"padding: must be one of {', '.join(RULES)}, got '{padding}'")
        return rules[padding]
    sides = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(sides) != 2 or min(sides) < 0:
        raise UsageError(f"padding: must be a number or a pair, none below 0, got {padding}")
    return sides


def output_size(
    size: int, kernel: int, *, stride: int = 1, padding: AxisPadding = 0, dilation: int = 1
) -> int:
    """Compute the output size of a convolution: floor((i + padding - d (k - 1) - 1) / s) + 1.

    Raises:
        UsageError: a number below 1, or the kernel is longer than the padded input.
    """
    _positive("output_size", size=size, stride=stride)
    span = effective_kernel(kernel, dilation)
    before, after = padding_sides(padding, kernel, dilation)
    if span > size + before + after:
        raise UsageError(
            f"output_size: kernel {kernel} with dilation {dilation} spans {span} positions, but "
            f"size {size} padded by {before} + {after} has {size + before + after}"
        )
    return (size + before + after - span) // stride + 1


def window_axes(
    sizes: Sequence[int],
    kernel: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> list[WindowAxis]:
    """Return stride, padding, dilation and output size of each axis.

    Raises:
        UsageError: as `each_axis`, `padding_sides` and `output_size`.
    """
    dims = len(kernel)
    each = (
        each_axis(stride, dims, "stride"),
        each_axis(padding, dims, "padding"),
        each_axis(dilation, dims, "dilation"),
    )
    axes = []
    for size, k, s, p, d in zip(sizes, kernel, *each, strict=True):
        sides = padding_sides(p, k, d)
        axes.append(
            WindowAxis(s, *sides, d, output_size(size, k, stride=s, padding=sides, dilation=d))
        )
    return axes


def transposed_size(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
) -> int:
    """Compute a transposed convolution's output size: (i - 1) s - 2 p + d (k - 1) + 1 + extra.

    Args:
        padding: of the forward convolution that this one transposes.
        output_padding: chooses among the s input sizes that the forward convolution maps to i.

    Raises:
        UsageError: a number below 1 (padding: 0), output_padding not under max(s, d), or nothing
            is left.
    """
    _positive("transposed_size", size=size, stride=stride)
    span = effective_kernel(kernel, dilation)
    limit = max(stride, dilation)
    if padding < 0:
        raise UsageError(f"transposed_size: padding must not be below 0, got {padding}")
    if not 0 <= output_padding < limit:
        raise UsageError(
            f"transposed_size: output_padding must be from 0 to {limit - 1} with stride {stride} "
            f"and dilation {dilation}, got {output_padding}"
        )
    out = (size - 1) * stride - 2 * padding + span + output_padding
    if out < 1:
        raise UsageError(
            f"transposed_size: size {size}, kernel {kernel}, stride {stride}, padding {padding} "
            f"leave {out} positions; use padding up to {(out - 1) // 2 + padding}"
        )
    return out


def output_padding_for(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> int:
    """Return the output_padding with which the transposed convolution gives `size` positions.

    (n + 2 p - d (k - 1) - 1) mod s, for a forward convolution from n positions.

    Raises:
        UsageError: the forward convolution does not fit.
    """
    output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    return (size + 2 * padding - effective_kernel(kernel, dilation)) % stride


def inserted_size(size: int, stride: int) -> int:
    """Count positions after s - 1 zeros between neighbours: i + (i - 1) (s - 1)."""
    _positive("inserted_size", size=size, stride=stride)
    return size + (size - 1) * (stride - 1)


def transposed_padding(kernel: int, padding: int, dilation: int = 1) -> int:
    """Return the padding of the convolution that a transposed one equals: d (k - 1) - p.

    Below 0 the zero-inserted input is cut instead of padded.
    """
    return effective_kernel(kernel, dilation) - 1 - padding


def pooled_size(
    size: int,
    kernel: int,
    *,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Compute the output size of a pooling: as of a convolution, rounded up in ceil mode.

    Args:
        stride: the kernel if not given.
        ceil_mode: keep a last window that runs over the end, if it starts inside the input or
            its padding before.

    Raises:
        UsageError: the window does not fit, or padding above half the window.
    """
    stride = kernel if stride is None else stride
    if 2 * padding > effective_kernel(kernel, dilation):
        raise UsageError(
            f"pooled_size: padding must be at most half of the window, got {padding} for "
            f"{effective_kernel(kernel, dilation)}"
        )
    out = output_size(size, kernel, stride=stride, padding=padding, dilation=dilation)
    over = (size + 2 * padding - effective_kernel(kernel, dilation)) % stride
    return out + 1 if ceil_mode and over and out * stride < size + padding else out


def receptive_field(layers: Iterable[tuple[int, ...]]) -> int:
    """Count the input positions that one output of a chain of layers depends on.

    1 + sum of (k - 1) d times the product of the strides before.

    Args:
        layers: (kernel,), (kernel, stride) or (kernel, stride, dilation) of each, first one first.

    Raises:
        UsageError: a number below 1, or not one to three numbers.
    """
    field, step = 1, 1
    for layer in layers:
        if not 1 <= len(layer) <= 3:
            raise UsageError(f"receptive_field: a layer is kernel, stride, dilation; got {layer}")
        kernel, stride, dilation = (*layer, 1, 1)[:3]
        _positive("receptive_field", kernel=kernel, stride=stride, dilation=dilation)
        field += (effective_kernel(kernel, dilation) - 1) * step
        step *= stride
    return field


def check_groups(where: str, in_channels: int, out_channels: int, groups: int) -> None:
    """Check that both channel counts divide into the groups.

    Raises:
        UsageError: they do not.
    """
    _positive(where, in_channels=in_channels, out_channels=out_channels, groups=groups)
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise UsageError(
                f"{where}: {name} must be a multiple of groups, got {channels} for {groups}"
            )


def _positive(where: str, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f"{where}: {name} must be 1 or more, got {number}")
