"""Weights and multiply-adds of each kind of convolution, from its numbers alone.

One multiply-add is one mac; biases are weights but cost no mac. `output` is the size of the
output, one number an axis; `kernel` is one number an axis too, or one number for all axes.

Source: fact sheets of the papers that each operator's own file names; Dumoulin and Visin, 2016,
    arXiv:1603.07285 for the sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convatlas.errors import UsageError

Sizes = Sequence[int]


@dataclass(frozen=True)
class Count:
    """What a layer holds and what one input costs it; the sum of two is one after the other."""

    params: int
    macs: int

    def __add__(self, other: "Count") -> "Count":
        return Count(self.params + other.params, self.macs + other.macs)


def count_conv(
    in_channels: int,
    out_channels: int,
    kernel: int | Sizes,
    output: Sizes,
    *,
    groups: int = 1,
    bias: bool = False,
) -> Count:
    """Count ordinary, strided, dilated, masked or grouped: c d K / g weights, used at every output.

    Stride and dilation enter through the output size alone; a mask zeroes weights, it removes
    none.

    Raises:
        UsageError: channels that do not divide into the groups.
    """
    _divides("count_conv", groups, in_channels=in_channels, out_channels=out_channels)
    weights = in_channels * out_channels * _taps(kernel, output) // groups
    return Count(weights + bias * out_channels, weights * math.prod(output))


def count_pointwise(
    in_channels: int, out_channels: int, output: Sizes, *, groups: int = 1
) -> Count:
    """Count 1 x 1: c d / g weights."""
    return count_conv(in_channels, out_channels, 1, output, groups=groups)


def count_depthwise(
    channels: int, kernel: int | Sizes, output: Sizes, *, multiplier: int = 1
) -> Count:
    """Count one filter or more on each channel alone: a c K weights."""
    return count_conv(channels, channels * multiplier, kernel, output, groups=channels)


def count_separable(
    in_channels: int, out_channels: int, kernel: int | Sizes, output: Sizes, *, multiplier: int = 1
) -> Count:
    """Count depthwise, then 1 x 1: a c K + a c d weights."""
    filtered = count_depthwise(in_channels, kernel, output, multiplier=multiplier)
    return filtered + count_pointwise(in_channels * multiplier, out_channels, output)


def count_spatially_separable(
    in_channels: int, out_channels: int, kernel: int | Sizes, output: Sizes, *, between: Sizes
) -> Count:
    """Count a column and a row for each pair of channels: c d (kh + kw) weights.

    Args:
        between: the size after the columns, before the rows.
    """
    high, wide = _pair(kernel)
    _positive("count_spatially_separable", in_channels, out_channels, high, wide)
    pairs = in_channels * out_channels
    return Count(pairs * high, pairs * high * math.prod(between)) + Count(
        pairs * wide, pairs * wide * math.prod(output)
    )


def count_two_step(
    in_channels: int,
    middle_channels: int,
    out_channels: int,
    kernel: int | Sizes,
    output: Sizes,
    *,
    between: Sizes,
) -> Count:
    """Count kh x 1 to the middle channels, then 1 x kw: c m kh + m d kw weights."""
    high, wide = _pair(kernel)
    first = count_conv(in_channels, middle_channels, (high, 1), between)
    return first + count_conv(middle_channels, out_channels, (1, wide), output)


def count_sub_separable(
    in_channels: int, out_channels: int, kernel: int | Sizes, output: Sizes, *, groups: int
) -> Count:
    """Count grouped, then a full 1 x 1: c d K / g + d d weights."""
    grouped = count_conv(in_channels, out_channels, kernel, output, groups=groups)
    return grouped + count_pointwise(out_channels, out_channels, output)


def count_super_separable(
    in_channels: int, out_channels: int, kernel: int | Sizes, output: Sizes, *, groups: int
) -> Count:
    """Count depthwise, then a grouped 1 x 1: c K + c d / g weights."""
    filtered = count_depthwise(in_channels, kernel, output)
    return filtered + count_pointwise(in_channels, out_channels, output, groups=groups)


def count_pyramid(
    in_channels: int,
    out_channels: int,
    kernels: Sizes,
    output: Sizes,
    *,
    concat: bool = False,
    dims: int = 2,
) -> Count:
    """Count filters of several sizes on each channel, then 1 x 1, which concat widens.

    c sum(k ** dims) + n c d weights, n = 1 when the answers are added.
    """
    _positive("count_pyramid", in_channels, out_channels, len(kernels), *kernels)
    volume = sum(k**dims for k in kernels)
    filters = Count(in_channels * volume, in_channels * volume * math.prod(output))
    widened = in_channels * (len(kernels) if concat else 1)
    return filters + count_pointwise(widened, out_channels, output)


def count_causal(
    in_channels: int, out_channels: int, kernel: int, output: Sizes, *, groups: int = 1
) -> Count:
    """Count as the ordinary one: only the padding differs."""
    return count_conv(in_channels, out_channels, kernel, output, groups=groups)


def count_gated(
    in_channels: int, out_channels: int, kernel: int | Sizes, output: Sizes, *, groups: int = 1
) -> Count:
    """Count twice the ordinary one: half of the maps are gates."""
    return count_conv(in_channels, 2 * out_channels, kernel, output, groups=groups)


def count_transposed(
    in_channels: int,
    out_channels: int,
    kernel: int | Sizes,
    input: Sizes,
    *,
    groups: int = 1,
    bias: bool = False,
) -> Count:
    """Count by the input: each input value meets every weight of its channel once."""
    count = count_conv(in_channels, out_channels, kernel, input, groups=groups)
    return Count(count.params + bias * out_channels, count.macs)


def count_spectral(in_channels: int, out_channels: int, vertices: int) -> Count:
    """Count v c d weights; macs of two dense basis changes and of mixing: v v (c + d) + v c d."""
    _positive("count_spectral", in_channels, out_channels, vertices)
    theta = vertices * in_channels * out_channels
    return Count(theta, vertices**2 * (in_channels + out_channels) + theta)


def count_chebyshev(
    in_channels: int, out_channels: int, vertices: int, order: int, *, entries: int | None = None
) -> Count:
    """Count K c d weights; K - 1 products with the Laplacian, then K channel mixings.

    Args:
        order: polynomials used, K; the filter reaches K - 1 hops.
        entries: non-zero entries of the Laplacian; all v v of a dense one if not given.
    """
    _positive("count_chebyshev", in_channels, out_channels, vertices, order)
    product = vertices**2 if entries is None else entries
    weights = order * in_channels * out_channels
    return Count(weights, (order - 1) * product * in_channels + vertices * weights)


def count_first_order(
    in_channels: int, out_channels: int, vertices: int, *, entries: int | None = None
) -> Count:
    """Count c d weights; mix the channels, then one product with the graph.

    Args:
        entries: non-zero entries of the graph with its loops; all v v if not given.
    """
    _positive("count_first_order", in_channels, out_channels, vertices)
    product = vertices**2 if entries is None else entries
    weights = in_channels * out_channels
    return Count(weights, vertices * weights + product * out_channels)


def _taps(kernel: int | Sizes, output: Sizes) -> int:
    _positive("counts", *((kernel,) if isinstance(kernel, int) else kernel), *output)
    if isinstance(kernel, int):
        return kernel ** len(output)
    if len(kernel) != len(output):
        raise UsageError(
            f"counts: kernel {tuple(kernel)} and output {tuple(output)} must have equally many axes"
        )
    return math.prod(kernel)


def _pair(kernel: int | Sizes) -> tuple[int, int]:
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    return high, wide


def _divides(where: str, groups: int, **channels: int) -> None:
    for name, number in channels.items():
        if min(groups, number) < 1 or number % groups:
            raise UsageError(
                f"{where}: {name} must be a multiple of groups, got {number} for {groups}"
            )


def _positive(where: str, *numbers: int) -> None:
    if min(numbers) < 1:
        raise UsageError(f"{where}: numbers must be 1 or more, got {numbers}")
