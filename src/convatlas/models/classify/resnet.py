"""ResNet: units that learn what to add to their input, so that depth never hurts.

Source:  He et al., CVPR 2016, arXiv:1512.03385, table 1; depth 200 from He et al., ECCV 2016,
    arXiv:1603.05027, table 5; the wide inner convolution from Zagoruyko and Komodakis, BMVC 2016,
    arXiv:1605.07146, table 8.
Claims:  claims/resnet.toml
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    SHORTCUTS,
    ConvNormAct,
    check_image,
    check_option,
    draw_he_normal,
    new_shortcut,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

REPEATS = {  # table 1: units in each of the four stages
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}
CHANNELS = (64, 128, 256, 512)
BOTTLENECK_FROM = 50
EXPAND = 4  # output over inner channels of a bottleneck


class BasicUnit(nn.Module):
    """Two 3 x 3 convolutions and a shortcut.

    Args:
        shortcut: option A, B or C of the paper, or `none` for a plain network.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, shortcut: str = "B"
    ):
        super().__init__()
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, out_channels, stride=stride),
            ConvNormAct(out_channels, out_channels, act=None),
        )
        self.shortcut = new_shortcut(in_channels, out_channels, stride=stride, option=shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.residue(x)
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class Bottleneck(nn.Module):
    """Narrow by 1 x 1, filter by 3 x 3, widen by 1 x 1, and a shortcut.

    Args:
        inner: channels of the 3 x 3 convolution.
        stride_in_3x3: put the stride there and not in the first 1 x 1.
        groups: of the 3 x 3 convolution.
        shortcut: option A, B or C of the paper, or `none` for a plain network.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        inner: int,
        stride: int = 1,
        stride_in_3x3: bool = False,
        groups: int = 1,
        shortcut: str = "B",
    ):
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, inner, 1, stride=first),
            ConvNormAct(inner, inner, 3, stride=second, groups=groups),
            ConvNormAct(inner, out_channels, 1, act=None),
        )
        self.shortcut = new_shortcut(in_channels, out_channels, stride=stride, option=shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.residue(x)
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class ResNet(nn.Module):
    """Image classifier, the form for ImageNet.

    Args:
        depth: 18, 34, 50, 101, 152 or 200 weighted layers; bottlenecks from 50 on.
        width: multiplies every channel count.
        widen: multiplies the channels of every layer but the first, as Wide ResNet does.
        inner_width: multiplies the channels inside a bottleneck only.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.
        stride_in_3x3: put the stride of a bottleneck in its 3 x 3 convolution instead of the
            first 1 x 1 ("v1.5"), which costs 6 percent more multiply-adds in depth 50.
        shortcut: `A` without weights, `B` projections where the shape changes, `C` projections
            everywhere, `none` for the plain network.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        widen: float = 1.0,
        inner_width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        stride_in_3x3: bool = False,
        shortcut: str = "B",
    ):
        super().__init__()
        check_option("ResNet", "depth", depth, REPEATS)
        check_option("ResNet", "shortcut", shortcut, SHORTCUTS)
        self.in_channels = in_channels
        stem = round_channels(CHANNELS[0] * width)
        narrow = [round_channels(channels * widen * width) for channels in CHANNELS]

        def basic(into: int, out: int, stride: int) -> nn.Module:
            return BasicUnit(into, out, stride=stride, shortcut=shortcut)

        def bottleneck(into: int, out: int, stride: int) -> nn.Module:
            return Bottleneck(
                into,
                out,
                inner=round_channels(out // EXPAND * inner_width),
                stride=stride,
                stride_in_3x3=stride_in_3x3,
                shortcut=shortcut,
            )

        deep = depth >= BOTTLENECK_FROM
        outs = [c * EXPAND if deep else c for c in narrow]
        self.stages = residual_stages(
            resnet_stem(in_channels, stem, stem_stride, "ResNet"),
            stem,
            list(zip(REPEATS[depth], outs, strict=True)),
            bottleneck if deep else basic,
        )
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125)


for _depth in REPEATS:
    register(f"resnet{_depth}", ResNet, "classify", depth=_depth)
register("resnet34_option_a", ResNet, "classify", depth=34, shortcut="A")
register("resnet34_option_c", ResNet, "classify", depth=34, shortcut="C")
register("plain18", ResNet, "classify", depth=18, shortcut="none")
register("plain34", ResNet, "classify", depth=34, shortcut="none")
