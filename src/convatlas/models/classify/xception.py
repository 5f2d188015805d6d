"""Xception: Inception taken to its end, every convolution separated into depth and space.

Source:  Chollet, CVPR 2017, arXiv:1610.02357, figure 5.
Claims:  claims/xception.toml
Differs: poolings of the shortcut's size with a border of one pixel, as all ports to torch have it.
"""

from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    check_option,
    draw_he_normal,
    round_channels,
)
from convatlas.blocks.branches import UnpaddedConv
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

ENTRY = (128, 256, 728)  # figure 5: a block each, at half the resolution of the one before
MIDDLE = (728, 8, 3)  # channels, blocks, convolutions a block
EXIT = (728, 1024)  # the two convolutions of the last block
LAST = (1536, 2048)
HIDDEN = 4096


class SeparableNorm(nn.Sequential):
    """3 x 3 on each channel alone, then 1 x 1 across channels, then batch norm.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class XceptionBlock(nn.Module):
    """ReLU and separable convolution, as often as there are channel counts, and a linear shortcut.

    Args:
        channels: that leave each convolution.
        halves: pool at the end, and project the input; else the input itself is added.
        activated: the input is rectified already, so that the first ReLU is left out.

    Shape: (n, in_channels, h, w) -> (n, channels[-1], h, w), half as large where it halves
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        *,
        halves: bool = False,
        activated: bool = False,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        into = in_channels
        for out in channels:
            if layers or not activated:
                layers.append(nn.ReLU())
            layers.append(SeparableNorm(into, out))
            into = out
        self.shortcut: nn.Module = nn.Identity()
        if halves:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            self.shortcut = ConvNormAct(in_channels, channels[-1], 1, stride=2, act=None)
        self.residue = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.residue(x) + self.shortcut(x)


class Xception(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the features before the last layer zeroed in training.
        fully_connected: two layers of 4096 before the last, as in the paper's runs on JFT.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 100 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 7 pixels up, from 5 with
        `stem_stride=1`.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        fully_connected: bool = False,
        stem_stride: int = 2,
    ):
        super().__init__()
        check_option("Xception", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        self.min_size = {2: 7, 1: 5}[stem_stride]

        def scaled(*channels: int) -> tuple[int, ...]:
            return tuple(round_channels(c * width) for c in channels)

        channels, wide = scaled(32, 64)
        stages: list[list[nn.Module]] = [
            [
                ConvNormAct(in_channels, channels, stride=stem_stride, conv=UnpaddedConv),
                ConvNormAct(channels, wide, conv=UnpaddedConv),
            ]
        ]
        channels = wide
        for index, out in enumerate(scaled(*ENTRY)):
            block = XceptionBlock(channels, (out, out), halves=True, activated=index == 0)
            stages.append([block])
            channels = out
        base, blocks, convolutions = MIDDLE
        stages[-1] += [XceptionBlock(channels, scaled(base) * convolutions) for _ in range(blocks)]
        last = scaled(*LAST)
        stages.append([XceptionBlock(channels, scaled(*EXIT), halves=True)])
        for into, out in zip((scaled(*EXIT)[-1], last[0]), last, strict=True):
            stages[-1] += [SeparableNorm(into, out), nn.ReLU()]
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        hidden: list[nn.Module] = []
        channels = last[-1]
        if fully_connected:
            (size,) = scaled(HIDDEN)
            hidden = [nn.Linear(channels, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU()]
            channels = size
        self.hidden = nn.Sequential(*hidden)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "Xception", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.hidden(self.stages(x).mean((2, 3))))

    example = image_example(299)
    tiny = tiny_build(64, width=0.0625)


register("xception", Xception, "classify")
register("xception_fc", Xception, "classify", fully_connected=True)
