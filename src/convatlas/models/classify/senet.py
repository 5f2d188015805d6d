"""SENet: each channel is scaled by what a small network reads from the means of all channels.

Here are the residual networks: SE-ResNet and SE-ResNeXt for ImageNet with the placements, ratios
and stages that the paper compares, and the forms for CIFAR. SENet-154 stands in `senet_154`.

Source:  Hu, Shen, Sun, Albanie, Wu, CVPR 2018 and TPAMI 2020, arXiv:1709.01507, sections 3 and 6.
Claims:  claims/senet.toml
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    check_image,
    check_option,
    draw_he_normal,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.errors import UsageError
from convatlas.models.classify.preact_resnet_cifar import PreActResNetCifar
from convatlas.models.classify.resnet import (
    BOTTLENECK_FROM,
    CHANNELS,
    EXPAND,
    REPEATS,
    BasicUnit,
    Bottleneck,
)
from convatlas.models.classify.resnext import grouped_channels
from convatlas.models.classify.wide_resnet import WideResNet
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite

PLACEMENTS = ("standard", "pre", "post", "identity")  # figure 5 of the journal version
STAGES = (2, 3, 4, 5)  # numbered as in ResNet, whose first convolution is stage 1


class SEUnit(nn.Module):
    """A residual unit with squeeze and excitation at one of four places.

    Args:
        unit: has a `residue` and a `shortcut`, which are taken over.
        in_channels: of the unit's input.
        out_channels: of its output.
        placement: `standard` after the residue and before the sum, `pre` before the residue,
            `post` after the sum and its ReLU, `identity` on the shortcut.

    Shape: as the unit
    """

    def __init__(
        self,
        unit: BasicUnit | Bottleneck,
        in_channels: int,
        out_channels: int,
        *,
        reduction: int,
        bias: bool,
        placement: str = "standard",
    ):
        super().__init__()
        # Narrow networks keep one hidden unit where the ratio would leave none.
        channels = in_channels if placement == "pre" else out_channels
        gate = SqueezeExcite(channels, reduction=min(reduction, channels), bias=bias)
        assert unit.shortcut is not None
        self.residue, self.shortcut = unit.residue, unit.shortcut
        self.after: nn.Module = nn.Identity()
        if placement == "standard":
            self.residue.append(gate)
        elif placement == "pre":
            self.residue.insert(0, gate)
        elif placement == "post":
            self.after = gate
        else:
            self.shortcut = nn.Sequential(self.shortcut, gate)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(torch.relu(self.residue(x) + self.shortcut(x)))


class SEResNet(nn.Module):
    """Image classifier: ResNet or ResNeXt with squeeze and excitation in its units.

    Args:
        depth: 18, 34, 50, 101 or 152 weighted layers; bottlenecks from 50 on.
        groups: of the 3 x 3 convolutions of bottlenecks; 32 makes SE-ResNeXt.
        group_width: channels of each group in the first stage.
        stride_in_3x3: put the stride of a bottleneck there and not in the first 1 x 1.
        reduction: channels over hidden units of squeeze and excitation.
        bias: of its two layers; the models of the paper's ablations have none.
        placement: where it stands in a unit: standard, pre, post or identity.
        se_stages: which stages have it.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: a stage that is not one of 2 to 5, or groups where there is no bottleneck.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 50,
        groups: int = 1,
        group_width: int = 64,
        stride_in_3x3: bool = False,
        reduction: int = 16,
        bias: bool = True,
        placement: str = "standard",
        se_stages: Sequence[int] = STAGES,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("SEResNet", "depth", depth, [d for d in REPEATS if d <= 152])
        check_option("SEResNet", "placement", placement, PLACEMENTS)
        for stage in se_stages:
            check_option("SEResNet", "se_stages", stage, STAGES)
        deep = depth >= BOTTLENECK_FROM
        if not deep and groups > 1:
            raise UsageError(f"SEResNet: depth must be 50 or more with groups, got {depth}")
        self.in_channels = in_channels
        narrow = [round_channels(channels * width) for channels in CHANNELS]
        outs = [c * EXPAND if deep else c for c in narrow]

        def unit(into: int, out: int, stride: int) -> nn.Module:
            if deep:
                inner = grouped_channels(out // EXPAND, groups, group_width)
                plain = Bottleneck(
                    into,
                    out,
                    inner=inner,
                    stride=stride,
                    stride_in_3x3=stride_in_3x3,
                    groups=groups,
                )
            else:
                plain = BasicUnit(into, out, stride=stride)
            if STAGES[outs.index(out)] not in se_stages:
                return plain
            return SEUnit(plain, into, out, reduction=reduction, bias=bias, placement=placement)

        self.stages = residual_stages(
            resnet_stem(in_channels, narrow[0], stem_stride, "SEResNet"),
            narrow[0],
            list(zip(REPEATS[depth], outs, strict=True)),
            unit,
        )
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SEResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125, reduction=4)


for _depth in (18, 34, 50, 101, 152):
    register(f"se_resnet{_depth}", SEResNet, "classify", depth=_depth)
for _depth in (50, 101):
    register(
        f"se_resnext{_depth}_32x4d",
        SEResNet,
        "classify",
        depth=_depth,
        groups=32,
        group_width=4,
        stride_in_3x3=True,
    )
for _ratio in (2, 4, 8, 16, 32):  # table 10
    register(f"se_resnet50_ratio{_ratio}", SEResNet, "classify", reduction=_ratio, bias=False)
for _placement in PLACEMENTS[1:]:
    register(f"se_resnet50_{_placement}", SEResNet, "classify", bias=False, placement=_placement)
for _stage in (2, 3, 4):
    register(f"se_resnet50_stage{_stage}", SEResNet, "classify", bias=False, se_stages=(_stage,))
register("se_resnet110_cifar", PreActResNetCifar, "classify", depth=110, reduction=16)
register(
    "se_resnet164_cifar", PreActResNetCifar, "classify", depth=164, bottleneck=True, reduction=16
)
register("se_wide_resnet16_8_cifar", WideResNet, "classify", depth=16, widen=8, reduction=16)
