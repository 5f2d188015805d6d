"""RevNet: residual units whose input can be computed from their output.

The channels are in two halves that take turns at being added to, so the backward pass restores
activations instead of storing them: memory for training does not grow with depth.

Source:  Gomez et al., NIPS 2017, arXiv:1707.04585, table 2; units from the authors' repository.
Claims:  claims/revnet.toml
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import check_image, check_option, conv_without_bias, round_channels
from convatlas.blocks.reversible import Coupling, ReversibleSequence
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

EXPAND = 4  # a bottleneck's last 1 x 1
REPEATS = {  # units in each of the four stages
    56: (2, 2, 3, 2),
    104: (2, 2, 11, 2),
}
CHANNELS = (128, 256, 512, 832)  # of both halves, and before the first unit
EPS = 1e-3


def new_norm(channels: int) -> nn.BatchNorm2d:
    """Build a batch norm with the constant of the authors' code."""
    return nn.BatchNorm2d(channels, eps=EPS)


class Residue(nn.Sequential):
    """Norm, ReLU, convolution, two or three times: the F and G of the paper, on half the channels.

    Args:
        out_channels: of one half, before a bottleneck expands them.
        bottleneck: 1 x 1, 3 x 3 and an expanding 1 x 1 instead of two 3 x 3.
        activated: the input has been through norm and ReLU already.

    Shape: (n, in_channels, h, w) -> (n, out_channels or 4 times that, ceil(h / stride),
        ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        bottleneck: bool = False,
        activated: bool = False,
    ):
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        layers: list[nn.Module] = []
        for index, kernel in enumerate(kernels):
            if index > 0 or not activated:
                layers += [new_norm(in_channels), nn.ReLU()]
            expand = EXPAND if bottleneck and index == 2 else 1
            layers.append(
                conv_without_bias(
                    in_channels,
                    out_channels * expand,
                    kernel,
                    stride=stride if index == 0 else 1,
                )
            )
            in_channels = out_channels
        super().__init__(*layers)


class Shortcut(nn.Module):
    """The mean of each square of pixels; new channels are zero, half before and half after.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        extra = out_channels - in_channels
        self.pad = (0, 0, 0, 0, extra // 2, extra - extra // 2)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            x = F.avg_pool2d(x, self.stride, ceil_mode=True)
        return F.pad(x, self.pad)


class EntryUnit(nn.Module):
    """The unit that changes the shape, and so cannot be undone: its input is kept.

    y1 = shortcut(x1) + F(x2), y2 = shortcut(x2) + G(y1); F has the stride.

    Args:
        in_channels: of both halves, as all others.
        channels: before a bottleneck expands them.

    Shape: (n, in_channels, h, w) -> (n, channels or 4 times that, ceil(h / stride),
        ceil(w / stride))
    """

    def __init__(
        self, in_channels: int, channels: int, *, stride: int, bottleneck: bool, activated: bool
    ):
        super().__init__()
        into, narrow = in_channels // 2, channels // 2
        out = narrow * EXPAND if bottleneck else narrow
        self.f = Residue(into, narrow, stride=stride, bottleneck=bottleneck, activated=activated)
        self.g = Residue(out, narrow, bottleneck=bottleneck)
        self.shortcuts = nn.ModuleList(
            conv_without_bias(into, out, 1, stride=stride)
            if bottleneck
            else Shortcut(into, out, stride)
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, 1)
        y1 = self.shortcuts[0](x1) + self.f(x2)
        y2 = self.shortcuts[1](x2) + self.g(y1)
        return torch.cat([y1, y2], 1)


def reversible_stage(
    in_channels: int,
    channels: int,
    *,
    units: int,
    stride: int,
    bottleneck: bool,
    activated: bool,
    recompute: bool,
) -> list[nn.Module]:
    """Build the unit that changes the shape, if any, then the reversible ones."""
    narrow = channels // 2
    out = narrow * EXPAND if bottleneck else narrow
    layers: list[nn.Module] = []
    if stride > 1 or in_channels != 2 * out:
        layers.append(
            EntryUnit(
                in_channels, channels, stride=stride, bottleneck=bottleneck, activated=activated
            )
        )
        units, activated = units - 1, False
    couplings = [
        Coupling(Residue(out, narrow, bottleneck=bottleneck, activated=activated and number == 0))
        for number in range(2 * units)
    ]
    return [*layers, ReversibleSequence(*couplings, recompute=recompute)]


class RevNet(nn.Module):
    """Image classifier of bottlenecks, the form for ImageNet.

    Args:
        depth: 56 or 104 weighted layers.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.
        recompute: False stores activations as other networks do: a third faster, more memory.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 104,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        recompute: bool = True,
    ):
        super().__init__()
        check_option("RevNet", "depth", depth, REPEATS)
        check_option("RevNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        channels = round_channels(CHANNELS[0] * width)
        kernel, stride = (3, 1) if stem_stride == 1 else (7, 2)
        conv = conv_without_bias(in_channels, channels, kernel, stride=stride)
        stages: list[list[nn.Module]] = [[conv, new_norm(channels), nn.ReLU()]]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
        for index, units in enumerate(REPEATS[depth]):
            if index > 0:
                stages.append([])
            narrow = round_channels(CHANNELS[index] * width)
            stages[-1] += reversible_stage(
                channels,
                narrow,
                units=units,
                stride=2 if index > 0 else 1,
                bottleneck=True,
                activated=index == 0,
                recompute=recompute,
            )
            channels = narrow * EXPAND
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = nn.Sequential(new_norm(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, num_classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "RevNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, depth=56, width=0.0625)


def draw_weights(model: nn.Module) -> None:
    """Draw with He's variance by fan out, no value beyond two standard deviations."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            std = (2 / (module.kernel_size[0] * module.kernel_size[1] * module.out_channels)) ** 0.5
            nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)


for _depth in REPEATS:
    register(f"revnet{_depth}", RevNet, "classify", depth=_depth)
