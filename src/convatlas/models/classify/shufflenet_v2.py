"""ShuffleNet V2: half of the channels pass by, the other half is filtered, then both are mixed.

Equal widths on both sides of a 1 x 1 convolution, no groups in it and no additions: the choices
that measured speed asks for, where multiply-adds alone would ask for others.

Source:  Ma et al., ECCV 2018, arXiv:1807.11164, table 5.
Claims:  claims/shufflenet_v2.toml
Differs: widths between those of the table are interpolated, and below it stages and head shrink
         in proportion; 2x has 244 channels in its first stage, where an early table prints 224.
         The layers of the form with 50 layers are inferred: they give the published cost.
"""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.shuffle import shuffle_channels

STEM = 24
REPEATS = (4, 8, 4)
WIDTHS = (  # table 5: width, channels of the first stage (twice as many in each next), head
    (0.5, 48, 1024),
    (1.0, 116, 1024),
    (1.5, 176, 1024),
    (2.0, 244, 2048),
)
DEEP_STEM, DEEP_REPEATS, DEEP_CHANNELS = 64, (3, 4, 6, 3), (244, 2048)


class ShuffleUnit(nn.Module):
    """One half passes, one half is filtered; concatenate and shuffle.

    Shape: (n, channels, h, w) -> (n, channels, h, w), channels even
    """

    def __init__(self, channels: int):
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        return shuffle_channels(torch.cat([left, self.branch(right)], dim=1), 2)


class DownUnit(nn.Module):
    """Both branches read the whole input and change its shape; concatenate and shuffle.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 2):
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            ConvNormAct(in_channels, in_channels, stride=stride, groups=in_channels, act=None),
            ConvNormAct(in_channels, half, 1),
        )
        self.branch = _branch(in_channels, half, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return shuffle_channels(torch.cat([self.shortcut(x), self.branch(x)], dim=1), 2)


def _branch(in_channels: int, channels: int, *, stride: int) -> nn.Sequential:
    """Build a branch: mix, filter each channel alone without an activation, mix."""
    return nn.Sequential(
        ConvNormAct(in_channels, channels, 1),
        ConvNormAct(channels, channels, 3, stride=stride, groups=channels, act=None),
        ConvNormAct(channels, channels, 1),
    )


def stage_channels(width: float) -> tuple[int, int]:
    """Return the channels of first stage and head: table 5, and lines between its rows.

    The first stage's count is even, because it is split in halves.
    """
    for (low, first, head), (high, next_first, next_head) in pairwise(WIDTHS):
        if low <= width <= high:
            share = (width - low) / (high - low)
            half = (first + share * (next_first - first)) / 2
            return 2 * round(half), round_channels(head + share * (next_head - head))
    edge, first, head = WIDTHS[0] if width < WIDTHS[0][0] else WIDTHS[-1]
    scale = width / edge
    return 2 * max(1, round(first * scale / 2)), round_channels(head * scale)


def deep_channels(width: float) -> tuple[int, int]:
    """Return the same for the form with 50 layers, all in proportion."""
    first, head = DEEP_CHANNELS
    return 2 * max(1, round(first * width / 2)), round_channels(head * width)


class ShuffleNetV2(nn.Module):
    """Image classifier.

    Args:
        width: scales the stages; 0.5, 1, 1.5 and 2 are the paper's.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels.
        deep: the form with 50 layers, as deep as ResNet-50 and about as wide (table 6); it has
            one stage more, before the maps are halved for the third time.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        deep: bool = False,
    ):
        super().__init__()
        check_option("ShuffleNetV2", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        out, head = deep_channels(width) if deep else stage_channels(width)
        channels = DEEP_STEM if deep else STEM
        stages: list[list[nn.Module]] = [
            [ConvNormAct(in_channels, channels, stride=1 if stem_stride == 1 else 2)]
        ]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
        for index, repeats in enumerate(DEEP_REPEATS if deep else REPEATS):
            stride = 1 if deep and index == 0 else 2
            if stride == 2:
                stages.append([])
            stages[-1].append(DownUnit(channels, out, stride=stride))
            stages[-1].extend(ShuffleUnit(out) for _ in range(repeats - 1))
            channels, out = out, 2 * out
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = ConvNormAct(channels, head, 1)
        self.classifier = nn.Linear(head, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ShuffleNetV2", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


register("shufflenet_v2", ShuffleNetV2, "classify")
for _width in (0.5, 1.5, 2.0):
    register(f"shufflenet_v2_x{_width}", ShuffleNetV2, "classify", width=_width)
register("shufflenet_v2_50", ShuffleNetV2, "classify", deep=True)
