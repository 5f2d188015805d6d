"""RetinaNet's head: two towers of convolutions that all maps share, one for classes, one for boxes.

Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, figure 3
    and section 4.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option

PRIOR = 0.01  # probability of an object that every place begins with: section 3.3
GROUPS = 32
NORMS = ("none", "batch", "group")

NewConv = Callable[[int, int], nn.Module]


def plain_conv(in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Module:
    """Build a 3 x 3 convolution whose weights begin small, as the paper has it."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def separable_conv(in_channels: int, out_channels: int) -> nn.Module:
    """Build depthwise 3 x 3 filters and a 1 x 1 convolution, for mobile heads."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
        nn.Conv2d(in_channels, out_channels, 1),
    )


class SharedTower(nn.Module):
    """Convolutions with activations for all maps; batch norms are each map's own.

    Args:
        maps: how many there are.
        out_channels: of the last convolution, which has neither norm nor activation.

    Shape: list of (n, channels, h, w) -> list of (n, out_channels, h, w)
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        depth: int,
        maps: int,
        norm: str,
        conv: NewConv,
        act: Callable[[], nn.Module],
    ):
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.ModuleList(_new_norm(norm, channels) for _ in range(maps if norm == "batch" else 1))
            for _ in range(depth)
        )
        self.act = act()
        self.last = conv(channels, out_channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        answers = []
        for place, x in enumerate(maps):
            for conv, norms in zip(self.convs, self.norms, strict=True):
                assert isinstance(norms, nn.ModuleList)
                x = self.act(norms[place if len(norms) > 1 else 0](conv(x)))
            answers.append(self.last(x))
        return answers


def _new_norm(norm: str, channels: int) -> nn.Module:
    if norm == "none":
        return nn.Identity()
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


class RetinaNetHead(nn.Module):
    """Classes and box offsets for the anchors of each place of each map.

    Args:
        channels: of the maps and of both towers.
        outputs: logits of an anchor.
        anchors: of each place.
        depth: convolutions of a tower before its last.
        maps: how many there are.
        norm: behind the convolutions: `none`, `batch` of each map's own, or `group`.
        separable: depthwise and 1 x 1 convolutions instead of full ones.
        act: class of the activation.

    Shape: list of (n, channels, h, w) -> logits (n, places, outputs), offsets (n, places, 4);
        finest map first, places row by row, the anchors of each in a row

    Raises:
        UsageError: norm has no such form.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        anchors: int,
        *,
        depth: int = 4,
        maps: int = 5,
        norm: str = "none",
        separable: bool = False,
        act: Callable[[], nn.Module] = nn.ReLU,
    ):
        super().__init__()
        check_option("RetinaNetHead", "norm", norm, NORMS)
        # Group norm has a bias of its own; batch norms have one each, and keep the shared one.
        conv = separable_conv if separable else partial(plain_conv, bias=norm != "group")
        tower = partial(
            SharedTower, channels, depth=depth, maps=maps, norm=norm, conv=conv, act=act
        )
        self.classes = tower(anchors * outputs)
        self.boxes = tower(anchors * 4)
        if norm == "group":
            self.classes.last = plain_conv(channels, anchors * outputs)
            self.boxes.last = plain_conv(channels, anchors * 4)
        last = [m for m in self.classes.last.modules() if isinstance(m, nn.Conv2d)][-1]
        assert last.bias is not None
        nn.init.constant_(last.bias, -math.log((1 - PRIOR) / PRIOR))
        self.outputs = outputs

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        return _by_place(self.classes(maps), self.outputs), _by_place(self.boxes(maps), 4)


def _by_place(maps: list[Tensor], numbers: int) -> Tensor:
    """Lay answers in rows. Shape: list of (n, a * numbers, h, w) -> (n, places, numbers)"""
    rows = [x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers)) for x in maps]
    return torch.cat(rows, 1)
