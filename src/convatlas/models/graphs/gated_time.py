"""Parts of networks on sensors over time: convolutions that read a few steps, and their norm.

Nothing is padded: each convolution leaves `kernel - 1` steps fewer, and no step of its output sees
a later one than the last that it reads.

Source: Yu, Yin, Zhu, IJCAI 2018, arXiv:1709.04875, section 3.3 and its repository.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import check_option

GATES = ("glu", "relu", "sigmoid")


class MatchChannels(nn.Module):
    """Bring a residual to a number of channels: by zeros if it has fewer, 1 x 1 if it has more.

    Shape: (n, in_channels, t, v) -> (n, out_channels, t, v)
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.missing = max(0, out_channels - in_channels)
        self.narrow = (
            nn.Conv2d(in_channels, out_channels, 1, bias=False)
            if in_channels > out_channels
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(x)
        return F.pad(y, (0, 0, 0, 0, 0, self.missing)) if self.missing else y


class TemporalConv(nn.Module):
    """Convolve along time, each vertex by itself, with a gate and the last input steps added.

    Args:
        gate: `glu` gives (P + x) * sigmoid(Q), `relu` relu(conv + x), `sigmoid` sigmoid(conv).

    Shape: (n, in_channels, t, v) -> (n, out_channels, t - kernel + 1, v)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, gate: str = "glu"):
        super().__init__()
        check_option("TemporalConv", "gate", gate, GATES)
        self.gate, self.kernel = gate, kernel
        filters = 2 * out_channels if gate == "glu" else out_channels
        self.conv = nn.Conv2d(in_channels, filters, (kernel, 1))
        self.match = (
            nn.Identity() if gate == "sigmoid" else MatchChannels(in_channels, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.gate == "sigmoid":
            return y.sigmoid()
        residual = self.match(x[:, :, self.kernel - 1 :])
        return gated(y, residual) if self.gate == "glu" else (y + residual).relu()


def gated(y: Tensor, residual: Tensor) -> Tensor:
    """Compute (P + residual) * sigmoid(Q). Shape: (n, 2 c, t, v), (n, c, t, v) -> (n, c, t, v)"""
    values, gates = torch.chunk(y, 2, dim=1)
    return (values + residual) * gates.sigmoid()


class VertexNorm(nn.Module):
    """Layer norm over vertices and channels of each step, with gain and offset for each of both.

    Shape: (n, channels, t, vertices) -> the same
    """

    def __init__(self, channels: int, vertices: int):
        super().__init__()
        self.norm = nn.LayerNorm([vertices, channels], eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ForecastHead(nn.Module):
    """Read all steps that are left and give the readings of the next ones.

    Args:
        steps: that are left.
        horizon: steps that are put out; 1 as published.

    Shape: (n, channels, steps, vertices) -> (n, horizon, vertices)
    """

    def __init__(self, channels: int, steps: int, vertices: int, horizon: int):
        super().__init__()
        self.gate = TemporalConv(channels, channels, steps)
        self.norm = VertexNorm(channels, vertices)
        self.act = TemporalConv(channels, channels, 1, gate="sigmoid")
        self.last = nn.Conv2d(channels, horizon, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(horizon, vertices))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.act(self.norm(self.gate(x)))).squeeze(2) + self.bias
