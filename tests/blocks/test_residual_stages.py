import pytest
import torch

from convatlas.blocks import ConvNormAct, residual_stages, resnet_stem
from convatlas.errors import UsageError


def unit(into, out, stride):
    return ConvNormAct(into, out, stride=stride)


@pytest.mark.parametrize(("stem_stride", "children"), [(4, 4), (2, 3), (1, 3)])
def test_each_stage_halves_the_resolution_of_the_stem(stem_stride, children):
    stem = resnet_stem(3, 8, stem_stride, "Net")
    stages = residual_stages(stem, 8, [(2, 16), (1, 24), (3, 32)], unit)
    assert len(stages) == children
    assert [len(stage) for stage in stages[-2:]] == [1, 3]
    sides, x = [], torch.rand(1, 3, 64, 64)
    for stage in stages:
        x = stage(x)
        sides.append(x.shape[2])
    assert x.shape[1] == 32
    assert sides[-3:] == [64 // stem_stride // 2**i for i in range(3)]
    assert stem_stride < 4 or sides[0] == 32


def test_another_stride_is_refused():
    with pytest.raises(UsageError, match=r"Net: stem_stride must be one of .*, got 3"):
        resnet_stem(3, 8, 3, "Net")
