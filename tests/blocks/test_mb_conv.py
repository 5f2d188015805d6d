import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import DropConnect, MBConv


def test_drop_connect_keeps_the_mean_and_drops_whole_images():
    torch.manual_seed(0)
    drop, x = DropConnect(0.8), torch.ones(10_000, 2, 1, 1)
    y = drop.train()(x)
    assert torch.equal(y[:, 0], y[:, 1])
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert y.mean() == pytest.approx(1, abs=0.02)  # four standard errors
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize(("stride", "out"), [(1, 4), (1, 6), (2, 4)])
def test_a_block_equals_a_plain_second_computation(stride, out):
    torch.manual_seed(0)
    block = MBConv(4, out, 5, stride=stride, expand=3, hidden=2).double().eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    y = block.expand[1](torch.einsum("nchw,dc->ndhw", x, block.expand[0].weight[:, :, 0, 0])).relu()
    y = F.conv2d(y, block.filter[0].weight, stride=stride, padding=2, groups=12)
    y = block.filter[1](y).relu()
    hidden = (y.mean((2, 3)) @ block.excite.reduce.weight.T + block.excite.reduce.bias).relu()
    gate = (hidden @ block.excite.expand.weight.T + block.excite.expand.bias).sigmoid()
    y = block.project[1](F.conv2d(y * gate[:, :, None, None], block.project[0].weight))
    torch.testing.assert_close(block(x), x + y if (stride, out) == (1, 4) else y)


def test_the_shortcut_skips_a_block_by_chance_in_training_alone():
    torch.manual_seed(0)
    block = MBConv(4, 4, 3, stride=1, expand=2, survival=0.5).train()
    x = torch.randn(64, 4, 5, 5)
    skipped = (block(x) == x).flatten(1).all(1).sum()
    assert 16 <= skipped <= 48  # of 64, each with a chance of a half
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


def test_without_a_shortcut_no_block_is_skipped():
    torch.manual_seed(0)
    block = MBConv(4, 6, 3, stride=1, expand=2, survival=0.5).train()
    assert block.drop.survival == 1.0
