"""The frame of residual networks: a stem, then stages of units, each at half the resolution."""

from collections.abc import Callable, Sequence

from torch import nn

from convatlas.blocks.conv_norm_act import ConvNormAct
from convatlas.blocks.options import check_option

# unit(in_channels, out_channels, stride)
NewUnit = Callable[[int, int, int], nn.Module]
Stem = tuple[list[nn.Module], list[nn.Module]]


def residual_stages(
    stem: Stem,
    channels: int,
    stages: Sequence[tuple[int, int]],
    unit: NewUnit,
) -> nn.Sequential:
    """Build a module for each resolution, so that the maps in between can be taken.

    Args:
        stem: the layers before the first unit, and the pooling between the two, if any.
        channels: what the stem puts out.
        stages: units and channels of each; the first unit of all but the first has stride 2.
        unit: builds one unit from in_channels, out_channels and stride.

    Shape: (n, in_channels, h, w) -> (n, channels of the last, about h / stride, about w / stride)
    """
    layers, pool = stem
    children = [[*layers], [*pool]] if pool else [[*layers]]
    for index, (repeats, out_channels) in enumerate(stages):
        if index > 0:
            children.append([])
        for stride in [2 if index > 0 else 1] + [1] * (repeats - 1):
            children[-1].append(unit(channels, out_channels, stride))
            channels = out_channels
    return nn.Sequential(*(nn.Sequential(*child) for child in children))


def resnet_stem(in_channels: int, channels: int, stem_stride: int, model: str) -> Stem:
    """Build the 7 x 7 convolution and the pooling with which networks for ImageNet begin.

    Args:
        stem_stride: 4 as published; 2 leaves out the pooling; 1 also makes the convolution 3 x 3
            without stride.
        model: the class's name, for the message.

    Shape: (n, in_channels, h, w) -> (n, channels, about h / stem_stride, about w / stem_stride)

    Raises:
        UsageError: another stem_stride.
    """
    check_option(model, "stem_stride", stem_stride, (4, 2, 1))
    if stem_stride == 1:
        return [ConvNormAct(in_channels, channels, 3)], []
    pool: list[nn.Module] = [nn.MaxPool2d(3, stride=2, padding=1)] if stem_stride == 4 else []
    return [ConvNormAct(in_channels, channels, 7, stride=2)], pool
