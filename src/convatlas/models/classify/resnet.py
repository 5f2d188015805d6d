"""ResNet: units that learn what to add to their input, so that depth never hurts.

Source:  He et al., CVPR 2016, arXiv:1512.03385, table 1; shortcuts by option B.
Claims:  claims/resnet.toml
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    check_option,
    draw_he_normal,
    round_channels,
)
from convatlas.models.registry import register

REPEATS = {  # table 1: units in each of the four stages
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
CHANNELS = (64, 128, 256, 512)
BOTTLENECK_FROM = 50


class BasicUnit(nn.Module):
    """Two 3 x 3 convolutions and a shortcut.

    Shape: (n, in_channels, h, w) -> (n, channels, ceil(h / stride), ceil(w / stride))
    """

    expand = 1

    def __init__(self, in_channels: int, channels: int, *, stride: int, stride_in_3x3: bool):
        super().__init__()
        del stride_in_3x3  # both convolutions are 3 x 3: the stride is in the first either way
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, channels, stride=stride),
            ConvNormAct(channels, channels, act=None),
        )
        self.shortcut = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residue(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """Narrow by 1 x 1, filter by 3 x 3, widen four times by 1 x 1, and a shortcut.

    Shape: (n, in_channels, h, w) -> (n, 4 * channels, ceil(h / stride), ceil(w / stride))
    """

    expand = 4

    def __init__(self, in_channels: int, channels: int, *, stride: int, stride_in_3x3: bool):
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        out_channels = channels * self.expand
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, channels, 1, stride=first),
            ConvNormAct(channels, channels, 3, stride=second),
            ConvNormAct(channels, out_channels, 1, act=None),
        )
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residue(x) + self.shortcut(x))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Option B: a projection where the shape changes, else the input itself."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNormAct(in_channels, out_channels, 1, stride=stride, act=None)


class ResNet(nn.Module):
    """Image classifier, the form for ImageNet.

    Args:
        depth: 18, 34, 50, 101 or 152 weighted layers; bottlenecks from 50 on.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.
        stride_in_3x3: put the stride of a bottleneck in its 3 x 3 convolution instead of the
            first 1 x 1 ("v1.5"), which costs 6 percent more multiply-adds in depth 50.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size = 1

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        stride_in_3x3: bool = False,
    ):
        super().__init__()
        check_option("ResNet", "depth", depth, REPEATS)
        check_option("ResNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        unit = Bottleneck if depth >= BOTTLENECK_FROM else BasicUnit
        channels = round_channels(CHANNELS[0] * width)
        stem = ConvNormAct(in_channels, channels, 7, stride=2)
        if stem_stride == 1:
            stem = ConvNormAct(in_channels, channels, 3)
        stages: list[list[nn.Module]] = [[stem]]
        for index, repeats in enumerate(REPEATS[depth]):
            if index > 0:
                stages.append([])
            elif stem_stride == 4:
                stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
            narrow = round_channels(CHANNELS[index] * width)
            for stride in [2 if index > 0 else 1] + [1] * (repeats - 1):
                layer = unit(channels, narrow, stride=stride, stride_in_3x3=stride_in_3x3)
                stages[-1].append(layer)
                channels = narrow * unit.expand
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    def example(self, batch: int = 1, size: int = 224) -> tuple[Tensor]:
        """An input of the size that the published figures hold for."""
        return (torch.rand(batch, self.in_channels, size, size),)

    @classmethod
    def tiny(cls, *, in_channels: int = 3, num_classes: int = 5) -> "tuple[ResNet, tuple[Tensor]]":
        """The smallest honest build and a batch of two: for tests and first steps."""
        model = cls(width=0.125, in_channels=in_channels, num_classes=num_classes)
        return model, model.example(batch=2, size=64)


for _depth in REPEATS:
    register(f"resnet{_depth}", ResNet, depth=_depth)
