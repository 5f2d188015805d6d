"""ShuffleNet: 1 x 1 convolutions in groups, and a shuffle that lets the groups meet.

In a small bottleneck the 1 x 1 convolutions cost nearly everything. In g groups they cost a g-th,
so that the maps can be wider for the same budget; dealing the channels out anew between two of
them keeps the groups from becoming networks of their own.

Source:  Zhang, Zhou, Lin, Sun, CVPR 2018, arXiv:1707.01083v2, table 1 and figure 2; channels of the
         first convolution at other widths from the authors' repository (ShuffleNet-Series).
Claims:  claims/shufflenet_v1.toml
Differs: where a quarter of the channels is no multiple of the groups (2 and 4 groups below full
         width) the nearest multiple is taken; squeeze and excitation, which the paper combines it
         with and does not describe, has reduction 16 and stands before the addition, behind the
         concatenation.
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.shuffle import shuffle_channels
from convatlas.ops.squeeze_excitation import SqueezeExcite

CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}  # table 1: of stage 2; they double twice
REPEATS = (4, 8, 4)
STEMS = ((0.5, 12), (1.5, 24))  # up to a width: channels of the first convolution
WIDEST_STEM = 48


class GroupedUnit(nn.Module):
    """Grouped 1 x 1, shuffle, filter each channel alone, grouped 1 x 1; and a shortcut.

    Without a stride the shortcut is the input, added; with one it is the input's 3 x 3 average,
    concatenated, so that the branch has to make only the channels that are new.

    Args:
        groups: of both 1 x 1 convolutions.
        first_groups: of the first one, where it differs.
        shuffle: deal the channels out anew between the groups.
        gated: scale the branch's channels by squeeze and excitation.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        groups: int,
        first_groups: int | None = None,
        shuffle: bool = True,
        gated: bool = False,
    ):
        super().__init__()
        inner = groups * max(1, round(out_channels / (4 * groups)))
        made = out_channels - in_channels if stride == 2 else out_channels
        self.groups = groups if shuffle else 1
        self.narrow = ConvNormAct(in_channels, inner, 1, groups=first_groups or groups)
        self.filter = ConvNormAct(inner, inner, 3, stride=stride, groups=inner, act=None)
        self.widen = ConvNormAct(inner, made, 1, groups=groups, act=None)
        # Behind the concatenation, not before it: so the paper's 527 million are met.
        self.gate = SqueezeExcite(out_channels) if gated else nn.Identity()
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        y = shuffle_channels(self.narrow(x), self.groups)
        y = self.widen(self.filter(y))
        if self.pool is None:
            return torch.relu(x + self.gate(y))
        return torch.relu(self.gate(torch.cat([y, self.pool(x)], dim=1)))


class ShuffleNetV1(nn.Module):
    """Image classifier.

    Args:
        groups: 1, 2, 3, 4 or 8, of the 1 x 1 convolutions; more groups go with wider maps.
        width: multiplies the channels of the stages.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels.
        shuffle: False leaves the shuffle out, for comparison (table 3).
        gated: squeeze and excitation in every unit (table 5).
        shallow: half of the units of each stage (table 5).

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        groups: int = 3,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        shuffle: bool = True,
        gated: bool = False,
        shallow: bool = False,
    ):
        super().__init__()
        check_option("ShuffleNetV1", "groups", groups, CHANNELS)
        check_option("ShuffleNetV1", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        channels = stem_channels(width, groups)
        stem = ConvNormAct(in_channels, channels, stride=1 if stem_stride == 1 else 2)
        stages: list[list[nn.Module]] = [[stem]]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
        # The first unit's branch makes out - in channels, which must not be none.
        out = groups * max(round(CHANNELS[groups] * width / groups), channels // groups + 1)
        for index, repeats in enumerate(REPEATS):
            stages.append([])
            for repeat in range(repeats // 2 if shallow else repeats):
                unit = GroupedUnit(
                    channels,
                    out,
                    stride=2 if repeat == 0 else 1,
                    groups=groups,
                    # The first unit of all reads few channels, which are not divided.
                    first_groups=1 if index == 0 and repeat == 0 else groups,
                    shuffle=shuffle,
                    gated=gated,
                )
                stages[-1].append(unit)
                channels = out
            out = 2 * out
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ShuffleNetV1", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


def stem_channels(width: float, groups: int) -> int:
    """Return the channels of the first convolution, a multiple of the groups."""
    channels = next((c for limit, c in STEMS if width <= limit), WIDEST_STEM)
    return -(-channels // groups) * groups


for _groups in CHANNELS:
    register(f"shufflenet_v1_g{_groups}", ShuffleNetV1, "classify", groups=_groups)
    for _width in (0.25, 0.5):
        register(
            f"shufflenet_v1_g{_groups}_x{_width}",
            ShuffleNetV1,
            "classify",
            groups=_groups,
            width=_width,
        )
for _groups in (3, 8):
    for _width in (1.5, 2.0):
        register(
            f"shufflenet_v1_g{_groups}_x{_width}",
            ShuffleNetV1,
            "classify",
            groups=_groups,
            width=_width,
        )
    for _width in (1.0, 0.5, 0.25):
        register(
            f"shufflenet_v1_g{_groups}{'' if _width == 1 else f'_x{_width}'}_noshuffle",
            ShuffleNetV1,
            "classify",
            groups=_groups,
            width=_width,
            shuffle=False,
        )
register("shufflenet_v1_g3_x2.0_se", ShuffleNetV1, "classify", width=2.0, gated=True)
register("shufflenet_v1_g3_x0.5_shallow", ShuffleNetV1, "classify", width=0.5, shallow=True)
