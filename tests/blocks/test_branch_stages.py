import pytest
import torch
from torch import nn

from convatlas.blocks import (
    Conv,
    Pool,
    PoolUp,
    new_layers,
    new_stages,
    smallest_input,
    with_total_stride,
)
from convatlas.errors import UsageError

HALF = Pool(nn.MaxPool2d, 2)
STEM = (Conv(8, 3, 2, padded=False), Conv(8, 3), HALF, Conv(16, 3, padded=False), HALF)
PADDED = (Conv(8, 7, 2), PoolUp(), Conv(16, 3), PoolUp())


@pytest.mark.parametrize("stem", [STEM, PADDED])
@pytest.mark.parametrize("stride", [8, 4, 2, 1])
@pytest.mark.parametrize("output", [1, 3])
def test_smallest_input_is_the_first_that_leaves_enough(stem, stride, output):
    steps = with_total_stride(stem, stride, "Net")
    layers = nn.Sequential(*new_layers(3, steps)[0]).eval()
    size = smallest_input(steps, output)
    assert layers(torch.zeros(1, 3, size, size)).shape[2] == output
    if size > 1:
        try:
            left = layers(torch.zeros(1, 3, size - 1, size - 1)).shape[2]
        except RuntimeError:
            left = 0
        assert left < output


@pytest.mark.parametrize("stride", [8, 4, 2, 1])
def test_total_stride_keeps_the_first_halvings_and_every_convolution(stride):
    steps = with_total_stride(STEM, stride, "Net")
    total = 1
    for step in steps:
        total *= step.stride
    assert total == stride
    assert [s.channels for s in steps if isinstance(s, Conv)] == [8, 8, 16]
    assert sum(isinstance(s, Pool) for s in steps) == {8: 2, 4: 1, 2: 0, 1: 0}[stride]


def test_stages_end_where_the_maps_are_about_to_halve():
    rows = ((((Conv(8),), (Conv(16, 3),)),), (((Conv(8, 3, 2),), (PoolUp(),)), ((Conv(40),),)))
    stages, channels = new_stages(3, PADDED, rows)
    assert channels == [24, 40]
    x, sides = torch.zeros(1, 3, 64, 64), []
    for stage in stages.eval():
        x = stage(x)
        sides.append(tuple(x.shape[1:]))
    assert sides == [(8, 32, 32), (16, 16, 16), (24, 8, 8), (40, 4, 4)]


def test_another_stride_is_refused():
    with pytest.raises(UsageError, match=r"Net: stem_stride must be one of .*, got 3"):
        with_total_stride(STEM, 3, "Net")
