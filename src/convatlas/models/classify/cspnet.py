"""CSPNet: half of a stage's channels pass it by, so that work and gradients are not duplicated.

A stage splits its input by two 1 x 1 convolutions (one here, cut in two). One part goes through the
units, the other past them; both are concatenated and mixed by a last 1 x 1. In the Elastic forms
half of each unit works at half the size.

Source:  Wang et al., CVPR-W 2020, arXiv:1911.11929, figure 3; the layers from the configuration
         files of the authors' repository.
Claims:  claims/cspnet.toml
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, draw_he_normal, round_channels
from convatlas.models.classify.darknet_units import (
    SLOPE,
    Act,
    bottleneck,
    bottleneck_residue,
    darknet_residue,
    darknet_unit,
    leaky,
    stem,
)
from convatlas.models.classify.elastic_unit import ElasticUnit
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


class Stage(NamedTuple):
    """One line of the table: channels before and in each part of a stage."""

    down: int  # of the 3 x 3 convolution with stride 2; 0: there is none
    past: int  # of the part that passes by, and of the other part's end
    start: int  # of the part that goes through the units
    narrow: int  # inside the units
    units: int
    out: int
    linear: bool = False  # the two splitting convolutions have no activation


CSPDARKNET53 = (
    Stage(64, 64, 64, 32, 1, 64),
    Stage(128, 64, 64, 64, 2, 128),
    Stage(256, 128, 128, 128, 8, 256),
    Stage(512, 256, 256, 256, 8, 512),
    Stage(1024, 512, 512, 512, 4, 1024),
)
CSPRESNET50 = (
    Stage(0, 128, 64, 64, 3, 128),
    Stage(128, 256, 256, 128, 3, 256, linear=True),
    Stage(256, 512, 512, 256, 5, 512, linear=True),
    Stage(512, 1024, 1024, 512, 2, 1024),
)
CSPRESNEXT50 = (
    Stage(0, 128, 64, 128, 3, 256),
    Stage(256, 256, 256, 256, 3, 512, linear=True),
    Stage(512, 512, 512, 512, 5, 1024, linear=True),
    Stage(1024, 1024, 1024, 1024, 2, 2048),
)
GROUPS = 32
ELASTIC_GROUPS = 16  # of the 3 x 3 in each half of a unit


class CrossStage(nn.Module):
    """Split, units on one part, concatenate, mix.

    Args:
        split: makes both parts.
        past: channels of the part that passes by.
        through: what the other part goes through, with the 1 x 1 behind the units.
        mix: reads both, that which passed by first.

    Shape: (n, in_channels, h, w) -> what `mix` makes of both parts
    """

    def __init__(self, split: nn.Module, past: int, through: nn.Module, mix: nn.Module):
        super().__init__()
        self.split, self.through, self.mix = split, through, mix
        self.past = past

    def forward(self, x: Tensor) -> Tensor:
        both = self.split(x)
        past, part = both[:, : self.past], both[:, self.past :]
        return self.mix(torch.cat([past, self.through(part)], 1))


def _cross_stage(
    in_channels: int, stage: Stage, unit: Callable[[int], nn.Module], act: Act
) -> CrossStage:
    """Build the stage behind its down-sampling; `unit` builds one from the channels it reads."""
    units, channels = [], stage.start
    for _ in range(stage.units):
        units.append(unit(channels))
        channels = stage.past
    split = None if stage.linear else act
    return CrossStage(
        ConvNormAct(in_channels, stage.past + stage.start, 1, act=split),
        stage.past,
        nn.Sequential(*units, ConvNormAct(channels, stage.past, 1, act=act)),
        ConvNormAct(2 * stage.past, stage.out, 1, act=act),
    )


def _scaled(stage: Stage, width: float, elastic: bool) -> Stage:
    if elastic:  # the units keep their channels, from the first one on
        stage = stage._replace(start=stage.past)
    channels = {
        name: round_channels(getattr(stage, name) * width)
        for name in ("down", "past", "start", "narrow", "out")
    }
    return stage._replace(**channels | ({} if stage.down else {"down": 0}))


class CSPDarknet(nn.Module):
    """Image classifier: Darknet-53 whose stages half of the channels pass by.

    Args:
        elastic: half of each unit works at half the size, both halves without narrowing.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        mish: Mish instead of leaky ReLU, as the authors trained it later.
        slope: of leaky ReLU below zero; the weights that timm publishes need 0.01.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        elastic: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        mish: bool = False,
        slope: float = SLOPE,
    ):
        super().__init__()
        self.in_channels = in_channels
        act = nn.Mish if mish else partial(nn.LeakyReLU, slope)
        channels = round_channels(CSPDARKNET53[0].down / 2 * width)
        stages: list[nn.Module] = [nn.Sequential(ConvNormAct(in_channels, channels, act=act))]
        for each in CSPDARKNET53:
            stage = _scaled(each, width, elastic)
            down = ConvNormAct(channels, stage.down, stride=2, act=act)

            def unit(channels: int, narrow: int = stage.narrow) -> nn.Module:
                if elastic:
                    return ElasticUnit(channels, lambda half: darknet_residue(half, half, act))
                return darknet_unit(channels, narrow, act)

            stages.append(nn.Sequential(down, _cross_stage(stage.down, stage, unit, act)))
            channels = stage.out
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "CSPDarknet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.125)


class CSPResNet(nn.Module):
    """Image classifier: ResNet-50 or ResNeXt-50 whose stages half of the channels pass by.

    Args:
        grouped: the 3 x 3 convolutions in 32 groups, with more channels: ResNeXt.
        elastic: half of each unit works at half the size, both halves without narrowing; grouped,
            each has 16 groups.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.
        mish: Mish instead of leaky ReLU, as the authors trained it later.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        grouped: bool = False,
        elastic: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
        mish: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        act = nn.Mish if mish else leaky
        groups = GROUPS if grouped else 1
        channels = round_channels(64 * width)
        stages = stem(in_channels, channels, stem_stride, "CSPResNet", act)
        for each in CSPRESNEXT50 if grouped else CSPRESNET50:
            stage = _scaled(each, width, elastic)
            if stage.down:
                down = _down(channels, stage.down, groups, act)
                stages.append([down])
                channels = stage.down

            def unit(channels: int, stage: Stage = stage) -> nn.Module:
                if elastic:
                    return _elastic_bottleneck(channels, grouped, act)
                return bottleneck(channels, stage.narrow, stage.past, groups=groups, act=act)

            stages[-1].append(_cross_stage(channels, stage, unit, act))
            channels = stage.out
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "CSPResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.125)


def _elastic_bottleneck(channels: int, grouped: bool, act: Act) -> ElasticUnit:
    groups = ELASTIC_GROUPS if grouped else 1

    def residue(half: int) -> nn.Module:
        return bottleneck_residue(half, half, half, groups=groups, act=act)

    return ElasticUnit(channels, residue, act())


def _down(in_channels: int, channels: int, groups: int, act: Act) -> nn.Module:
    groups = math.gcd(groups, in_channels, channels)
    return ConvNormAct(in_channels, channels, stride=2, groups=groups, act=act)


register("cspresnet50", CSPResNet, "classify")
register("cspresnext50", CSPResNet, "classify", grouped=True)
register("cspdarknet53", CSPDarknet, "classify")
register("cspresnet50_elastic", CSPResNet, "classify", elastic=True)
register("cspresnext50_elastic", CSPResNet, "classify", grouped=True, elastic=True)
register("cspdarknet53_elastic", CSPDarknet, "classify", elastic=True)
register("cspresnet50_mish", CSPResNet, "classify", mish=True)
register("cspresnext50_mish", CSPResNet, "classify", grouped=True, mish=True)
register("cspdarknet53_mish", CSPDarknet, "classify", mish=True)
