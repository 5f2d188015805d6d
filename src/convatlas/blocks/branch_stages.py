"""From a stem and rows of branching modules to the stages of a network."""

from collections.abc import Sequence

from torch import nn

from convatlas.blocks.branches import Branches, Conv, Pool, Step, new_layers
from convatlas.blocks.options import check_option


def new_stages(
    in_channels: int,
    stem: Sequence[Step],
    rows: Sequence[Sequence[Sequence[Sequence[Step]]]],
    *,
    width: float = 1.0,
) -> tuple[nn.Sequential, list[int]]:
    """Build the stages, each ending where maps halve, and return the channels of each row.

    Args:
        in_channels: channels of the image.
        stem: steps in front; what follows the last that halves belongs to the first row's stage.
        rows: modules of the same map size, each a tuple of branches.
        width: multiplies every channel count.
    """
    stages, channels = split_at_halvings(in_channels, stem, width)
    leaving: list[int] = []
    for number, row in enumerate(rows):
        if number > 0:
            stages.append([])
        for branches in row:
            module = Branches(channels, branches, width=width)
            stages[-1].append(module)
            channels = module.out_channels
        leaving.append(channels)
    return nn.Sequential(*(nn.Sequential(*stage) for stage in stages)), leaving


def split_at_halvings(
    in_channels: int, steps: Sequence[Step], width: float
) -> tuple[list[list[nn.Module]], int]:
    """Build the layers of a stem, a list for each resolution, and return its channels too."""
    layers, channels = new_layers(in_channels, steps, width=width)
    stages: list[list[nn.Module]] = [[]]
    for step, layer in zip(steps, layers, strict=True):
        if step.stride == 2 and stages[-1]:
            stages.append([])
        stages[-1].append(layer)
    return stages, channels


def smallest_input(steps: Sequence[Step], output: int) -> int:
    """Return the side that an image needs for some steps to leave `output` pixels a side."""
    for step in reversed(steps):
        if isinstance(step, Conv) and not step.padded and isinstance(step.kernel, int):
            output = (output - 1) * step.stride + step.kernel
        elif isinstance(step, Pool) and step.stride == 2:
            output = (output - 1) * 2 + 3
        elif step.stride == 2:
            output = (output - 1) * 2 + 1
    return output


def with_total_stride(steps: Sequence[Step], stride: int, model: str) -> list[Step]:
    """Return the steps with only the first ones halving: poolings go, convolutions stay.

    Args:
        stride: 8, 4, 2 or 1: pixels of the image for one that leaves the steps.
        model: the class's name, for the message.

    Raises:
        UsageError: another stride.
    """
    check_option(model, "stem_stride", stride, (8, 4, 2, 1))
    halvings = stride.bit_length() - 1
    kept: list[Step] = []
    for step in steps:
        if step.stride == 2 and halvings == 0:
            if isinstance(step, Conv):
                kept.append(step._replace(stride=1))
            continue
        halvings -= step.stride == 2
        kept.append(step)
    return kept
