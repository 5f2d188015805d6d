"""The block of searched mobile networks: widen, filter, gate, project, and skip by chance."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convatlas.blocks.conv_norm_act import ConvNormAct
from convatlas.ops.squeeze_excitation import Activation, SqueezeExcite


class DropConnect(nn.Module):
    """In training, zero whole images by chance and divide the others by the chance to survive.

    Shape: (n, c, h, w) -> (n, c, h, w)
    """

    def __init__(self, survival: float):
        super().__init__()
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.survival == 1.0:
            return x
        kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device) < self.survival
        return x * (kept / self.survival).to(x.dtype)


class MBConv(nn.Module):
    """Expand, filter, scale the channels, project; add the input where both ends are alike.

    Args:
        expand: by how much the input is widened before it is filtered; 1 for not at all.
        hidden: units of squeeze and excitation; 0 leaves it out.
        hidden_act: their activation.
        gate: behind them, what scales the channels.
        survival: chance that the block is not skipped in training, where it has a shortcut.
        conv: maker of a convolution with norm and activation.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))

    Source: Tan et al., "MnasNet", 2019, arXiv:1807.11626, figure 7; Tan, Le, "EfficientNet",
        2019, arXiv:1905.11946.
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int,
        expand: float,
        hidden: int = 0,
        hidden_act: Activation = torch.relu,
        gate: Activation = torch.sigmoid,
        survival: float = 1.0,
        conv: Callable[..., nn.Module] = ConvNormAct,
    ):
        super().__init__()
        wide = round(in_channels * expand)
        self.expand = conv(in_channels, wide, 1) if wide != in_channels else nn.Identity()
        self.filter = conv(wide, wide, kernel, stride=stride, groups=wide)
        self.excite = nn.Identity()
        if hidden:
            self.excite = SqueezeExcite(wide, hidden=hidden, act=hidden_act, gate=gate)
        self.project = conv(wide, out_channels, 1, act=None)
        self.residual = stride == 1 and in_channels == out_channels
        self.drop = DropConnect(survival if self.residual else 1.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.filter(self.expand(x))))
        return x + self.drop(y) if self.residual else y
