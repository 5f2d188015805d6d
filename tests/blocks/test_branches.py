import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.blocks import Branches, Conv, ConvNormAct, Fork, Pool, PoolUp, new_layers

SIDES = Fork(((Conv(8, (1, 3)),), (Conv(16, (3, 1)),)))


def test_branches_join_what_each_gives_alone():
    torch.manual_seed(0)
    module = Branches(6, ((Conv(8),), (Conv(8, 3), SIDES), (Pool(nn.AvgPool2d),))).eval()
    assert module.out_channels == 8 + (8 + 16) + 6
    x = torch.randn(2, 6, 5, 7)
    one, two, three = module
    narrow = two[0](x)
    parts = [one(x), two[1][0](narrow), two[1][1](narrow), F.avg_pool2d(x, 3, 1, 1)]
    assert torch.equal(module(x), torch.cat(parts, 1))
    assert torch.equal(three(x), parts[-1])


@pytest.mark.parametrize(
    ("step", "side"),
    [
        (Conv(8, 3), 9),
        (Conv(8, 3, 2), 5),
        (Conv(8, 3, padded=False), 7),
        (Conv(8, 3, 2, padded=False), 4),
        (Pool(nn.MaxPool2d), 9),
        (Pool(nn.MaxPool2d, 2), 4),
        (PoolUp(), 5),
    ],
)
def test_a_step_leaves_the_side_that_its_padding_and_stride_say(step, side):
    (layer,), channels = new_layers(6, (step,))
    y = layer(torch.randn(2, 6, 9, 9))
    assert y.shape == (2, channels, side, side)
    assert channels == (8 if isinstance(step, Conv) else 6)


def test_unpadded_convolution_is_the_middle_of_the_padded_one():
    torch.manual_seed(0)
    (padded,), _ = new_layers(3, (Conv(8, 3),))
    (bare,), _ = new_layers(3, (Conv(8, 3, padded=False),))
    bare.load_state_dict(padded.state_dict())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(bare.eval()(x), padded.eval()(x)[:, :, 1:-1, 1:-1])


def test_width_multiplies_every_step():
    layers, channels = new_layers(3, (Conv(32), SIDES), width=2)
    convs = [m for layer in layers for m in layer.modules() if isinstance(m, ConvNormAct)]
    assert [conv[0].out_channels for conv in convs] == [64, 16, 32]
    assert channels == 48
