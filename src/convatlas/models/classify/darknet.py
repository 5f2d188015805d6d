"""Darknet-53 and the reference network: what the Darknet framework was made for.

Source:  Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, table 1; the others from the
         configuration files beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929.
Claims:  claims/cspnet.toml
"""

from functools import partial
from typing import Final

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, draw_he_normal, round_channels
from convatlas.models.classify.darknet_units import SLOPE, darknet_unit, leaky
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

REFERENCE = (16, 32, 64, 128, 256, 512, 1024)  # a convolution each, a pooling between
DARKNET53 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # channels, units of each stage


class Darknet53(nn.Module):
    """Image classifier of 3 x 3 convolutions between narrow 1 x 1 ones.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        slope: of leaky ReLU below zero; the weights that timm publishes need 0.01.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        slope: float = SLOPE,
    ):
        super().__init__()
        self.in_channels = in_channels
        act = partial(nn.LeakyReLU, slope)
        channels = round_channels(DARKNET53[0][0] / 2 * width)
        stages: list[nn.Module] = [nn.Sequential(ConvNormAct(in_channels, channels, act=act))]
        for base, units in DARKNET53:
            into, channels = channels, round_channels(base * width)
            layers: list[nn.Module] = [ConvNormAct(into, channels, stride=2, act=act)]
            narrow = round_channels(base / 2 * width)
            layers += [darknet_unit(channels, narrow, act) for _ in range(units)]
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "Darknet53", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.125)


class DarknetReference(nn.Module):
    """Image classifier of seven 3 x 3 convolutions, with poolings between them.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(self, *, width: float = 1.0, in_channels: int = 3, num_classes: int = 1000):
        super().__init__()
        self.in_channels = in_channels
        stages: list[nn.Module] = []
        channels = in_channels
        for base in REFERENCE:
            into, channels = channels, round_channels(base * width, 4)
            pool = [nn.MaxPool2d(2, ceil_mode=True)] if stages else []
            stages.append(nn.Sequential(*pool, ConvNormAct(into, channels, act=leaky)))
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DarknetReference", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.25)


register("darknet53", Darknet53, "classify")
register("darknet_reference", DarknetReference, "classify")
