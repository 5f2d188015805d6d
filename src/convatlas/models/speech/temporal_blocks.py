"""The network between encoder and decoder: stacks of dilated convolutions along time.

A block widens the channels, filters each alone over time and narrows them again; the dilation
doubles from block to block of a stack, so that a few blocks see seconds. Blocks may share their
weights in several ways: sharing changes how many numbers are stored, never what is computed.

Source: Luo, Mesgarani, "Conv-TasNet", 2019, arXiv:1809.07454, section II; sharing from Tuan, Wu,
    Lee, Tsao, "MITAS", 2019, arXiv:1912.03884.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError
from convatlas.ops.layer_norms import CumulativeLayerNorm, GlobalLayerNorm

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "global": GlobalLayerNorm,  # gLN
    "cumulative": CumulativeLayerNorm,  # cLN
    "batch": nn.BatchNorm1d,
}
# Which blocks have the same weights; r is the stack and x the place in it, so the dilation.
SHARING: dict[str, tuple[Callable[[int, int], object], Callable[[int, int], object]]] = {
    # filters, mixes
    "none": (lambda r, x: (r, x), lambda r, x: (r, x)),
    "dilations": (lambda r, x: r, lambda r, x: r),
    "stacks": (lambda r, x: x, lambda r, x: x),
    "hybrid": (lambda r, x: r, lambda r, x: x),
}


class Mix(nn.Module):
    """The convolutions of a block over all channels: wider, and back for the two ways out.

    Args:
        in_channels: of what `widen` reads.
        hidden: channels inside the block.
        channels: of the residual path; 0 for a last block whose residual nothing reads.
        skip_channels: of the skip path; 0 for none.
    """

    def __init__(
        self, in_channels: int, hidden: int, channels: int, skip_channels: int, *, bias: bool = True
    ):
        super().__init__()
        self.widen = nn.Conv1d(in_channels, hidden, 1, bias=bias)
        self.residual = nn.Conv1d(hidden, channels, 1, bias=bias) if channels else None
        self.skip = nn.Conv1d(hidden, skip_channels, 1, bias=bias) if skip_channels else None


class Norms(nn.Module):
    """The two activations and norms of a block: before its filter and behind it."""

    def __init__(self, hidden: int, norm: str):
        super().__init__()
        self.before = nn.Sequential(nn.PReLU(), NORMS[norm](hidden))
        self.behind = nn.Sequential(nn.PReLU(), NORMS[norm](hidden))


class TimeFilter(nn.Module):
    """Filter each channel alone over time, at a dilation that each call gives.

    Where `conv` has taken the fast kernels (`fast_layers`), they filter at every dilation.

    Args:
        kernel: frames that a filter reads, an odd number where it is not causal.
        dilation: the usual one; calls with it run through the layer `conv`.
        causal: a frame sees itself and earlier ones only.

    Shape: (n, channels, k) -> (n, channels, k)
    """

    def __init__(
        self, channels: int, kernel: int, *, dilation: int, causal: bool, bias: bool = True
    ):
        super().__init__()
        self.reach, self.causal = kernel - 1, causal
        self.conv = nn.Conv1d(
            channels,
            channels,
            kernel,
            padding=0 if causal else self.reach * dilation // 2,
            dilation=dilation,
            groups=channels,
            bias=bias,
        )

    def forward(self, x: Tensor, dilation: int) -> Tensor:
        reach = self.reach * dilation
        if self.causal:
            x = F.pad(x, (reach, 0))
        if (dilation,) == self.conv.dilation:
            return self.conv(x)
        padding = 0 if self.causal else reach // 2
        if (by_kernel := getattr(self.conv, "at", None)) is not None:
            return by_kernel(x, padding, dilation)
        return self.valid(F.pad(x, (padding, padding)), dilation)

    def valid(self, x: Tensor, dilation: int) -> Tensor:
        """Filter where the whole window lies inside.

        Shape: (n, channels, k) -> (n, channels, k - dilation * (kernel - 1))
        """
        conv = self.conv
        return F.conv1d(x, conv.weight, conv.bias, dilation=dilation, groups=conv.groups)


class TemporalNet(nn.Module):
    """Stacks of blocks; the sum of their skip paths, or the last residual where there are none.

    Args:
        channels: of the residual path.
        hidden: channels inside a block.
        skip_channels: of the skip paths and the output; 0 for none.
        kernel: frames that a filter reads.
        blocks: in a stack; their dilations are 1, 2, 4 and so on.
        repeats: stacks.
        norm: `global` over channels and time, `cumulative` over what is past, `batch`.
        causal: a frame sees itself and earlier ones only, if the norm does.
        bias: of every convolution.
        sharing: a key of `SHARING`.
        share_norms: where filters are shared, share their norms and activations as well.
        last_residual: keep the residual convolution of the last block, which nothing reads where
            there are skip paths. The published counts hold it.
        beside: further channels, which the first block reads beside those of its input; for
            networks without sharing.

    Shape: (n, channels, k), if `beside` also (n, beside, k) -> (n, skip_channels or channels, k)
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        skip_channels: int,
        *,
        kernel: int = 3,
        blocks: int = 8,
        repeats: int = 3,
        norm: str = "global",
        causal: bool = False,
        bias: bool = True,
        sharing: str = "none",
        share_norms: bool = True,
        last_residual: bool = True,
        beside: int = 0,
    ):
        super().__init__()
        check_option("TemporalNet", "norm", norm, NORMS)
        check_option("TemporalNet", "sharing", sharing, SHARING)
        if kernel % 2 == 0 and not causal:
            raise UsageError(f"TemporalNet: kernel must be odd where causal=False, got {kernel}")
        self.dilations = [2**x for x in range(blocks)]
        places = [(r, x) for r in range(repeats) for x in range(blocks)]
        filter_key, mix_key = SHARING[sharing]
        norm_key = filter_key if share_norms else SHARING["none"][0]
        # A shared part is held once; each block says by number which parts are its own.
        self.filter_of = _numbered([filter_key(r, x) for r, x in places])
        self.norms_of = _numbered([norm_key(r, x) for r, x in places])
        self.mix_of = _numbered([mix_key(r, x) for r, x in places])
        last = self.mix_of.count(self.mix_of[-1]) == 1 and skip_channels and not last_residual
        mixes = max(self.mix_of) + 1
        self.filters = nn.ModuleList(
            TimeFilter(
                hidden,
                kernel,
                dilation=self.dilation(self.filter_of.index(number)),
                causal=causal,
                bias=bias,
            )
            for number in range(max(self.filter_of) + 1)
        )
        self.norms = nn.ModuleList(Norms(hidden, norm) for _ in range(max(self.norms_of) + 1))
        self.beside = beside
        self.mixes = nn.ModuleList(
            Mix(
                channels + (beside if m == 0 else 0),
                hidden,
                0 if last and m == mixes - 1 else channels,
                skip_channels,
                bias=bias,
            )
            for m in range(mixes)
        )

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        total: Tensor | None = None
        for place in range(len(self.mix_of)):
            mix, norms, filter = self.parts(place)
            read = x if beside is None or place else torch.cat([x, beside], dim=1)
            y = norms.before(mix.widen(read))
            y = filter(y, self.dilation(place))
            y = norms.behind(y)
            if mix.skip is not None:
                skip = mix.skip(y)
                total = skip if total is None else total + skip
            if mix.residual is not None:
                x = x + mix.residual(y)
        return x if total is None else total

    def parts(self, place: int) -> "tuple[Mix, Norms, TimeFilter]":
        """Return what the block of a number is made of, counted through all stacks."""
        return (
            cast(Mix, self.mixes[self.mix_of[place]]),
            cast(Norms, self.norms[self.norms_of[place]]),
            cast(TimeFilter, self.filters[self.filter_of[place]]),
        )

    def dilation(self, place: int) -> int:
        """Return the dilation of the block of a number, counted through all stacks."""
        return self.dilations[place % len(self.dilations)]


def _numbered(keys: list[object]) -> list[int]:
    """Number the different keys in the order in which they come."""
    first = list(dict.fromkeys(keys))
    return [first.index(key) for key in keys]
