"""Masked, causal and gated convolution by name."""

from typing import TYPE_CHECKING

from convatlas.errors import UsageError
from convatlas.ops.catalog.op_spec import OpSpec, cube
from convatlas.ops.counts import count_causal, count_conv, count_gated

if TYPE_CHECKING:
    from torch import nn


def spec_masked(
    *,
    in_channels: int = 3,
    out_channels: int = 6,
    kernel: int = 3,
    size: int = 14,
    dims: int = 2,
    mask: str = "A",
    colours: int = 1,
) -> OpSpec:
    """Sees only what comes before in reading order; mask A hides its own place, B shows it."""
    from convatlas.ops.masked import MaskedConv

    out = cube(size, dims)
    count = count_conv(in_channels, out_channels, kernel, out)
    return OpSpec(
        (in_channels, *out),
        (out_channels, *out),
        lambda: MaskedConv(
            in_channels, out_channels, kernel, kind=mask, colours=colours, dims=dims, bias=False
        ),
        count,
        count,
    )


def spec_causal(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dilation: int = 1,
    groups: int = 1,
) -> OpSpec:
    """Sees, along time, the current step and earlier steps only."""
    from convatlas.ops.causal import CausalConv

    return OpSpec(
        (in_channels, size),
        (out_channels, size),
        lambda: CausalConv(in_channels, out_channels, kernel, dilation=dilation, groups=groups),
        count_causal(in_channels, out_channels, kernel, (size,), groups=groups),
        count_conv(in_channels, out_channels, kernel, (size,)),
    )


def spec_gated(
    *,
    in_channels: int = 16,
    out_channels: int = 32,
    kernel: int = 3,
    size: int = 14,
    dims: int = 1,
    gate: str = "glu",
) -> OpSpec:
    """Makes twice as many maps; half of them say how much of the others passes (glu or gtu)."""
    if gate not in ("glu", "gtu"):
        raise UsageError(f"gated: gate must be glu or gtu, got '{gate}'")

    def build() -> "nn.Module":
        from convatlas.ops.gated import GatedConv, glu, gtu

        function = glu if gate == "glu" else gtu
        return GatedConv(in_channels, out_channels, kernel, gate=function, dims=dims)

    out = cube(size, dims)
    return OpSpec(
        (in_channels, *out),
        (out_channels, *out),
        build,
        count_gated(in_channels, out_channels, kernel, out),
        count_conv(in_channels, out_channels, kernel, out),
    )
