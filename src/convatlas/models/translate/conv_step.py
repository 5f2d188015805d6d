"""SliceNet's step: ReLU, a convolution that is full or separable in one of three ways, a norm.

Source: Kaiser, Gomez, Chollet, 2017, arXiv:1706.03059, sections 2 and 3.1.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError
from convatlas.models.translate.time_conv import Past, TimeConv
from convatlas.ops.layer_norms import ChannelLayerNorm

SEPARABILITIES = ("none", "full", "sub", "super")


class ScalarLayerNorm(nn.Module):
    """Normalise the channels of each position, with one gain and one offset for all of them.

    Shape: (n, channels, l) -> (n, channels, l)
    """

    def __init__(self, channels: int, *, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
        self.channels, self.eps = channels, eps

    def forward(self, x: Tensor) -> Tensor:
        last = nn.functional.layer_norm(x.transpose(1, 2), (self.channels,), eps=self.eps)
        return last.transpose(1, 2) * self.weight + self.bias


class ConvStep(nn.Module):
    """ReLU, then a convolution, then a norm over the channels of each position; no bias.

    Args:
        separability: `none`: a full convolution; `full`: depthwise, then 1 x 1; `sub`: in groups,
            then 1 x 1; `super`: depthwise, then 1 x 1 in groups.
        groups: of `sub` and `super`.
        scalar_norm: one gain and offset for all channels, as the paper's text says, in place of one
            for each, as its repository has it.

    Shape: (n, in_channels, l) -> (n, out_channels, l)

    Cost: per position, with c and d channels and kernel k: k c d (none), k c + c d (full),
        k c d / groups + d d (sub), k c + c d / groups (super) multiply-adds.

    Raises:
        UsageError: no such form, or channels that the groups do not divide.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        dilation: int = 1,
        separability: str = "full",
        groups: int = 1,
        causal: bool = False,
        scalar_norm: bool = False,
    ):
        super().__init__()
        check_option("ConvStep", "separability", separability, SEPARABILITIES)
        if in_channels % groups or out_channels % groups:
            raise UsageError(
                f"ConvStep: {in_channels} and {out_channels} channels do not divide into "
                f"{groups} groups"
            )
        by_channel = separability in ("full", "super")
        self.filter = TimeConv(
            in_channels,
            in_channels if by_channel else out_channels,
            kernel,
            dilation=dilation,
            groups=in_channels if by_channel else groups if separability == "sub" else 1,
            causal=causal,
        )
        parts = groups if separability == "super" else 1
        self.mix = (
            nn.Identity()
            if separability == "none"
            else nn.Conv1d(
                in_channels if by_channel else out_channels,
                out_channels,
                1,
                groups=parts,
                bias=False,
            )
        )
        self.norm = (ScalarLayerNorm if scalar_norm else ChannelLayerNorm)(out_channels)

    def forward(self, x: Tensor, present: Tensor | None = None, past: Past | None = None) -> Tensor:
        """Read the steps.

        Args:
            present: 0 where the sequence is padding, which no filter reads. Shape: (n, 1, l)
            past: what causal filters have seen before; None for nothing.
        """
        y = x.relu()
        if present is not None:
            y = y * present
        return self.norm(self.mix(self.filter(y, past)))
