"""Darknet-53, and ResNets as the Darknet framework builds them: what CSPNet starts from.

Source:  Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, table 1; the others from the
         configuration files beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929.
Claims:  claims/cspnet.toml
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import ConvNormAct, check_image, check_option, draw_he_normal, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

Act = Callable[[], nn.Module]
SLOPE = 0.1
REFERENCE = (16, 32, 64, 128, 256, 512, 1024)  # a convolution each, a pooling between
DARKNET53 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))  # channels, units of each stage


class ResNetForm(NamedTuple):
    """Units of each stage, their inner channels and groups, and how far the last 1 x 1 expands."""

    repeats: tuple[int, ...]
    channels: tuple[int, ...]
    groups: int
    expand: int


RESNETS = {
    "resnet10": ResNetForm((1, 1, 1, 1), (64, 128, 256, 512), 1, 1),
    "resnet50": ResNetForm((3, 4, 6, 3), (64, 128, 256, 512), 1, 4),
    "resnext50": ResNetForm((3, 4, 6, 3), (128, 256, 512, 1024), 32, 2),
}


def leaky() -> nn.Module:
    """Leaky ReLU as Darknet has it."""
    return nn.LeakyReLU(SLOPE)


class Overlap(nn.Module):
    """Darknet's shortcut: every stride-th pixel, and zeros behind the channels that there are.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.pad = (0, 0, 0, 0, 0, out_channels - in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


def overlap(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """`Overlap` where the shape changes, else the input itself."""
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return Overlap(in_channels, out_channels, stride)


class Unit(nn.Module):
    """Convolutions, a shortcut, and what follows their sum.

    Shape: what the residue makes of (n, in_channels, h, w)
    """

    def __init__(self, residue: nn.Module, shortcut: nn.Module, after: nn.Module):
        super().__init__()
        self.residue, self.shortcut, self.after = residue, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.residue(x) + self.shortcut(x))


def darknet_residue(channels: int, narrow: int, act: Act = leaky) -> nn.Sequential:
    """1 x 1 to fewer channels, 3 x 3 back."""
    return nn.Sequential(
        ConvNormAct(channels, narrow, 1, act=act), ConvNormAct(narrow, channels, act=act)
    )


def darknet_unit(channels: int, narrow: int, act: Act = leaky) -> Unit:
    """Darknet-53's residue, and the sum left as it is."""
    return Unit(darknet_residue(channels, narrow, act), nn.Identity(), nn.Identity())


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


class DarknetResNet(nn.Module):
    """ResNet without weights in its shortcuts, the stride in 3 x 3 convolutions, leaky ReLU.

    Args:
        form: `resnet10`, `resnet50` or `resnext50`.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "resnet50",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("DarknetResNet", "form", form, RESNETS)
        self.in_channels = in_channels
        repeats, inner, groups, expand = RESNETS[form]
        channels = round_channels(64 * width)
        stages = [*stem(in_channels, channels, stem_stride, "DarknetResNet")]
        for index, (units, base) in enumerate(zip(repeats, inner, strict=True)):
            if index > 0:
                stages.append([])
            narrow = round_channels(base * width)
            for number in range(units):
                stride = 2 if index > 0 and number == 0 else 1
                stages[-1].append(_resnet_unit(channels, narrow, expand, groups, stride))
                channels = narrow * expand
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DarknetResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.125)


def stem(
    in_channels: int, channels: int, stem_stride: int, model: str, act: Act = leaky
) -> list[list[nn.Module]]:
    """A 7 x 7 convolution and pooling by 2 x 2, as Darknet's networks of 50 layers begin."""
    check_option(model, "stem_stride", stem_stride, (4, 2, 1))
    if stem_stride == 1:
        return [[ConvNormAct(in_channels, channels, act=act)]]
    first: list[nn.Module] = [ConvNormAct(in_channels, channels, 7, stride=2, act=act)]
    return [first, [nn.MaxPool2d(2, ceil_mode=True)]] if stem_stride == 4 else [first]


def bottleneck_residue(
    in_channels: int,
    narrow: int,
    out_channels: int,
    *,
    groups: int,
    stride: int = 1,
    act: Act = leaky,
) -> nn.Sequential:
    """1 x 1, 3 x 3, and a linear 1 x 1.

    Args:
        groups: of the 3 x 3; fewer where they do not divide its channels.
    """
    return nn.Sequential(
        ConvNormAct(in_channels, narrow, 1, act=act),
        ConvNormAct(narrow, narrow, stride=stride, groups=math.gcd(groups, narrow), act=act),
        ConvNormAct(narrow, out_channels, 1, act=None),
    )


def bottleneck(
    in_channels: int,
    narrow: int,
    out_channels: int,
    *,
    groups: int,
    stride: int = 1,
    act: Act = leaky,
) -> Unit:
    """`bottleneck_residue` and the shortcut, then the activation."""
    residue = bottleneck_residue(
        in_channels, narrow, out_channels, groups=groups, stride=stride, act=act
    )
    return Unit(residue, overlap(in_channels, out_channels, stride), act())


def _resnet_unit(in_channels: int, narrow: int, expand: int, groups: int, stride: int) -> Unit:
    if expand > 1:
        return bottleneck(in_channels, narrow, narrow * expand, groups=groups, stride=stride)
    residue = nn.Sequential(
        ConvNormAct(in_channels, narrow, stride=stride, act=leaky),
        ConvNormAct(narrow, narrow, act=None),
    )
    return Unit(residue, overlap(in_channels, narrow, stride), leaky())


register("darknet53", Darknet53, "classify")
register("darknet_reference", DarknetReference, "classify")
for _form in RESNETS:
    register(f"darknet_{_form}", DarknetResNet, "classify", form=_form)
