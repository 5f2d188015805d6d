"""Deep networks with stochastic depth: ResNets that leave out units by chance while training.

A unit that is left out is its shortcut alone, so that a short network is trained and a deep one
is used; in evaluation every residue is scaled by the chance that it was there.

Source:  Huang, Sun, Liu, Sedra, Weinberger, ECCV 2016, arXiv:1603.09382, equations 2 to 5.
Claims:  claims/stochastic_depth.toml
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    check_option,
    draw_he_normal,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.errors import UsageError
from convatlas.models.classify import resnet_cifar
from convatlas.models.classify.resnet import CHANNELS, EXPAND, REPEATS, BasicUnit, Bottleneck
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import linear_survival

DECAYS = ("linear", "uniform")
DEPTHS = (50, 101, 152)


class StochasticUnit(nn.Module):
    """A residual unit that is only its shortcut in a share of the training steps.

    One draw a step decides for the whole batch, so that a unit that is left out costs nothing.

    Args:
        unit: has a `residue` and a `shortcut`, which are taken over.
        survival: chance that the residue is there.

    Shape: as the unit
    """

    def __init__(self, unit: BasicUnit | Bottleneck, survival: float):
        super().__init__()
        assert unit.shortcut is not None
        self.residue, self.shortcut = unit.residue, unit.shortcut
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        kept = self.shortcut(x)
        if not self.training:
            return torch.relu(kept + self.survival * self.residue(x))
        if self.survival < 1 and torch.rand(()) >= self.survival:
            return torch.relu(kept)
        return torch.relu(kept + self.residue(x))

    def extra_repr(self) -> str:
        return f"survival={self.survival:.3f}"


def survivals(model: str, units: int, *, last: float, decay: str) -> Iterator[float]:
    """Return the chance of each unit: falling in equal steps, or the same for all.

    Raises:
        UsageError: last is not from 0 to 1, or there is no such decay.
    """
    check_option(model, "decay", decay, DECAYS)
    if not 0 <= last <= 1:
        raise UsageError(f"{model}: survival must be from 0 to 1, got {last}")
    for unit in range(1, units + 1):
        yield linear_survival(unit, units, last=last) if decay == "linear" else last


class StochasticDepthCifar(nn.Module):
    """Image classifier for images of about 32 pixels: ResNet for CIFAR whose units may be left out.

    Args:
        depth: weighted layers, 6 n + 2 for n units a stage.
        survival: chance that the last unit is there in a training step; 1 is plain ResNet.
        decay: `linear` from 1 before the first unit down to `survival`, or `uniform`.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: depth is not 6 n + 2, or survival is not from 0 to 1.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 110,
        survival: float = 0.5,
        decay: str = "linear",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        name = "StochasticDepthCifar"
        units = resnet_cifar.units_a_stage(name, depth, bottleneck=False)
        self.in_channels = in_channels
        outs = [round_channels(channels * width, 4) for channels in resnet_cifar.CHANNELS]
        chances = iter(list(survivals(name, 3 * units, last=survival, decay=decay)))

        def unit(into: int, out: int, stride: int) -> nn.Module:
            return StochasticUnit(BasicUnit(into, out, stride=stride, shortcut="A"), next(chances))

        stem: list[nn.Module] = [ConvNormAct(in_channels, outs[0])]
        self.stages = residual_stages((stem, []), outs[0], [(units, c) for c in outs], unit)
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "StochasticDepthCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=8, survival=1.0, width=0.5)


class StochasticDepth(nn.Module):
    """Image classifier, the form for ImageNet: ResNet whose bottlenecks may be left out.

    Args:
        depth: 50, 101 or 152 weighted layers.
        survival: chance that the last unit is there in a training step; 1 is plain ResNet.
        decay: `linear` from 1 before the first unit down to `survival`, or `uniform`.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: survival is not from 0 to 1.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 152,
        survival: float = 0.5,
        decay: str = "linear",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        name = "StochasticDepth"
        check_option(name, "depth", depth, DEPTHS)
        self.in_channels = in_channels
        narrow = [round_channels(channels * width) for channels in CHANNELS]
        repeats = REPEATS[depth]
        chances = iter(list(survivals(name, sum(repeats), last=survival, decay=decay)))

        def unit(into: int, out: int, stride: int) -> nn.Module:
            return StochasticUnit(
                Bottleneck(into, out, inner=out // EXPAND, stride=stride), next(chances)
            )

        self.stages = residual_stages(
            resnet_stem(in_channels, narrow[0], stem_stride, name),
            narrow[0],
            [(n, c * EXPAND) for n, c in zip(repeats, narrow, strict=True)],
            unit,
        )
        self.classifier = nn.Linear(narrow[-1] * EXPAND, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "StochasticDepth", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, depth=50, survival=1.0, width=0.125)


for _depth in (110, 152, 1202):
    register(
        f"resnet{_depth}_stochastic_depth_cifar", StochasticDepthCifar, "classify", depth=_depth
    )
register(
    "resnet110_stochastic_depth_uniform_cifar", StochasticDepthCifar, "classify", decay="uniform"
)
register("resnet152_stochastic_depth", StochasticDepth, "classify")
register("resnet152_cifar", resnet_cifar.ResNetCifar, "classify", depth=152)
