"""MobileNet V2 as the Darknet framework builds it: what CSPMobileNet V2 starts from.

Unlike Google's, its maps of 64 channels are not yet halved a fourth time, which costs 43 percent
more multiply-adds, and its first block has a 1 x 1 that does not widen.

Source:  the configuration file beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929.
Claims:  claims/cspnet.toml
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    MBConv,
    check_image,
    check_option,
    draw_he_normal,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

STEM, FIRST, HEAD, EXPAND = 32, 16, 1280, 6
STAGES = (  # what each block puts out; the first of a stage halves the size
    (24, 24),
    (32, 32, 32, 64, 64, 64, 64),
    (96, 96, 96),
    (160, 160, 160, 320),
)


class DarknetMobileNetV2(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 2,
    ):
        super().__init__()
        check_option("DarknetMobileNetV2", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        stem, channels = round_channels(STEM * width), round_channels(FIRST * width)
        stages: list[list[nn.Module]] = [
            [
                ConvNormAct(in_channels, stem, stride=stem_stride),
                ConvNormAct(stem, stem, 1),
                ConvNormAct(stem, stem, groups=stem),
                ConvNormAct(stem, channels, 1, act=None),
            ]
        ]
        for outs in STAGES:
            stages.append([])
            for number, out in enumerate(outs):
                into, channels = channels, round_channels(out * width)
                stride = 2 if number == 0 else 1
                stages[-1].append(MBConv(into, channels, 3, stride=stride, expand=EXPAND))
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        head = round_channels(HEAD * width)
        self.head = ConvNormAct(channels, head, 1)
        self.classifier = nn.Linear(head, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DarknetMobileNetV2", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


register("darknet_mobilenet_v2", DarknetMobileNetV2, "classify")
