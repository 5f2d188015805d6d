import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import GatedConv, conv, gated_conv, glu, gtu


def test_values_are_the_first_half_and_gates_the_second(draw):
    x = draw(2, 6, 5)
    torch.testing.assert_close(glu(x), F.glu(x, dim=1))
    torch.testing.assert_close(gtu(x), x[:, :3].tanh() / (1 + (-x[:, 3:]).exp()))


@pytest.mark.parametrize("gate", [glu, gtu])
def test_gated_conv_is_two_convolutions(draw, gate):
    x, values, gates, bias = draw(2, 3, 6), draw(4, 3, 3), draw(4, 3, 3), draw(8)
    p = conv(x, values, bias[:4], padding="same")
    q = conv(x, gates, bias[4:], padding="same")
    expected = (p if gate is glu else p.tanh()) * q.sigmoid()
    got = gated_conv(x, torch.cat([values, gates]), bias, gate=gate)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("gate", [glu, gtu])
def test_gradients_and_cost(draw, gate):
    x, weight = draw(2, 2, 4), draw(6, 2, 3)

    def run(*inputs):
        return gated_conv(*inputs, gate=gate)

    assert torch.autograd.gradcheck(run, (x, weight))
    assert cost.macs(run, x, weight) == 2 * 4 * 2 * (2 * 3 * 3)


def test_the_module_gives_the_function():
    layer = GatedConv(3, 4, 3, gate=gtu, dims=2, stride=2)
    x = torch.rand(1, 3, 5, 5)
    torch.testing.assert_close(layer(x), gated_conv(x, layer.weight, gate=gtu, stride=2))


def test_an_odd_number_of_maps_is_refused():
    with pytest.raises(ValueError, match="channels must be even, got 3"):
        glu(torch.zeros(1, 3, 4))
