import pytest
import torch
from torch.nn import functional as F

from convatlas import cost
from convatlas.ops import SqueezeExcite, squeeze_excite


@pytest.mark.parametrize("size", [(5,), (3, 4)])
def test_equals_the_formula_channel_by_channel(draw, size):
    x, reduce, expand = draw(2, 4, *size), draw(2, 4), draw(4, 2)
    reduce_bias, expand_bias = draw(2), draw(4)
    got = squeeze_excite(x, reduce, expand, reduce_bias, expand_bias)
    for n in range(2):
        means = torch.stack([x[n, c].sum() / x[n, c].numel() for c in range(4)])
        hidden = (reduce @ means + reduce_bias).clamp(min=0)
        gate = 1 / (1 + (-(expand @ hidden + expand_bias)).exp())
        for c in range(4):
            torch.testing.assert_close(got[n, c], gate[c] * x[n, c])


def test_gradients_and_cost(draw):
    inputs = draw(2, 4, 3, 3), draw(2, 4), draw(4, 2)
    assert torch.autograd.gradcheck(squeeze_excite, inputs)
    assert cost.macs(squeeze_excite, *inputs) == 2 * (2 * 4 * 4 // 2)


def test_the_module_has_the_papers_weights():
    layer = SqueezeExcite(64)
    assert layer.reduce.weight.shape == (4, 64)
    without = SqueezeExcite(64, bias=False)
    assert sum(p.numel() for p in without.parameters()) == 2 * 64**2 // 16
    x = torch.rand(2, 64, 3, 3)
    expected = squeeze_excite(x, without.reduce.weight, without.expand.weight)
    torch.testing.assert_close(without(x), expected)


def test_hidden_units_and_both_activations_can_be_chosen(draw):
    layer = SqueezeExcite(8, hidden=3, act=F.silu, gate=F.hardsigmoid).double()
    x = draw(2, 8, 3, 3)
    hidden = layer.reduce(x.mean((2, 3)))
    scale = (layer.expand(hidden * hidden.sigmoid()) / 6 + 0.5).clamp(0, 1)
    assert hidden.shape == (2, 3)
    torch.testing.assert_close(layer(x), x * scale[:, :, None, None])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"4 channels need weights \(m, 4\) and \(4, m\), got"):
        squeeze_excite(torch.zeros(1, 4, 2, 2), torch.zeros(2, 4), torch.zeros(2, 4))
    with pytest.raises(ValueError, match="from 1 to the 8 channels, got 16"):
        SqueezeExcite(8)
