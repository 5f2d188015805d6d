"""What SpineNet's graph is made of: its three blocks, and the edges that change scale.

Source: Du et al., "SpineNet", CVPR 2020, arXiv:1912.05027, section 3 and figure 5; the mobile forms
    from the authors' repository.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, MBConv, new_shortcut
from convatlas.models.classify.spinenet_graphs import BOTTLENECK, EXPAND, MBCONV

Act = Callable[[], nn.Module]
WIDEN = 6  # of a mobile block
SQUEEZE = 0.2  # hidden units of its gate, over the channels that it reads


class Block(nn.Module):
    """Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1, and a shortcut.

    Args:
        channels: inside; a bottleneck puts out four times as many.

    Shape: (n, in_channels, h, w) -> (n, EXPAND[kind] * channels, ceil(h / stride),
        ceil(w / stride))
    """

    def __init__(self, in_channels: int, channels: int, *, kind: str, stride: int, act: Act):
        super().__init__()
        out = EXPAND[kind] * channels
        if kind == BOTTLENECK:
            layers = [
                ConvNormAct(in_channels, channels, 1, act=act),
                ConvNormAct(channels, channels, stride=stride, act=act),
                ConvNormAct(channels, out, 1, act=None),
            ]
        else:
            layers = [
                ConvNormAct(in_channels, channels, stride=stride, act=act),
                ConvNormAct(channels, out, act=None),
            ]
        self.residue = nn.Sequential(*layers)
        shortcut = new_shortcut(in_channels, out, stride=stride, option="B")
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.residue(x) + self.shortcut(x))


def new_block(in_channels: int, channels: int, *, kind: str, stride: int, act: Act) -> nn.Module:
    """Build a block of one kind; the arguments are those of `Block`."""
    if kind != MBCONV:
        return Block(in_channels, channels, kind=kind, stride=stride, act=act)

    def conv(*args: int, **options: object) -> nn.Module:
        return ConvNormAct(*args, **{"act": act, **options})  # pyright: ignore[reportArgumentType]

    return MBConv(
        in_channels,
        channels,
        3,
        stride=stride,
        expand=WIDEN,
        hidden=max(1, int(in_channels * SQUEEZE)),
        gate=F.hardsigmoid,
        conv=conv,
    )


class Edge(nn.Module):
    """Bring the maps of one block to the scale and the channels of another.

    In a bottleneck of `alpha * base` channels: a 1 x 1 convolution, then 3 x 3 with stride 2 and
    max pooling on the way down, or nearest neighbours on the way up, and a 1 x 1 without
    activation. Mobile edges have no first 1 x 1, and depthwise filters with stride 2 on the way
    down.

    Args:
        base: channels of the parent's level, before a bottleneck widens them.
        down: levels from the parent to the block; below 0 for a parent that is coarser.
        mobile: the form with depthwise filters.

    Shape: (n, in_channels, h, w), (height, width) -> (n, out_channels, height, width)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        base: int,
        down: int,
        alpha: float,
        mobile: bool,
        act: Act,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        if mobile:
            for _ in range(down):
                layers.append(ConvNormAct(channels, channels, stride=2, groups=channels, act=act))
        else:
            channels = max(1, int(alpha * base))
            layers.append(ConvNormAct(in_channels, channels, 1, act=act))
            if down > 0:
                layers.append(ConvNormAct(channels, channels, stride=2, act=act))
            layers += [nn.MaxPool2d(3, stride=2, padding=1) for _ in range(down - 1)]
        self.narrow = nn.Sequential(*layers)
        self.up = down < 0
        self.widen = ConvNormAct(channels, out_channels, 1, act=None)

    def forward(self, x: Tensor, size: list[int]) -> Tensor:
        x = self.narrow(x)
        return self.widen(F.interpolate(x, size) if self.up else x)


class Merge(nn.Module):
    """Sum what the edges of a block bring, with blocks that join as they are; activate.

    Args:
        edges: one for each parent.

    Shape: parents, joining (n, out_channels, height, width), (height, width)
        -> (n, out_channels, height, width)
    """

    def __init__(self, edges: Sequence[Edge], act: Act):
        super().__init__()
        self.edges = nn.ModuleList(edges)
        self.act = act()

    def forward(self, parents: list[Tensor], joining: list[Tensor], size: list[int]) -> Tensor:
        brought = [edge(x, size) for edge, x in zip(self.edges, parents, strict=True)]
        total = brought[0]
        for each in (*brought[1:], *joining):
            total = torch.add(total, each)
        return self.act(total)
