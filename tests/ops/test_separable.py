import pytest
import torch

from convatlas import cost
from convatlas.ops import SeparableConv, conv, separable_conv


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7,), (5, 6), (3, 4, 3)])
def test_equals_one_full_convolution(draw, size, stride):
    ones = [1] * len(size)
    x, depthwise = draw(2, 3, *size), draw(3, 1, *[3] * len(size))
    pointwise = draw(4, 3, *ones)
    expected = conv(x, pointwise * depthwise[:, 0], stride=stride, padding="same")
    torch.testing.assert_close(separable_conv(x, depthwise, pointwise, stride=stride), expected)


def test_gradients_and_cost(draw):
    inputs = draw(2, 2, 4, 5), draw(4, 1, 3, 3), draw(3, 4, 1, 1)
    assert torch.autograd.gradcheck(separable_conv, inputs)
    assert cost.macs(separable_conv, *inputs) == 2 * 20 * (2 * 2 * 9 + 2 * 2 * 3)


def test_cost_of_the_sheets_layer():
    x, depthwise = torch.zeros(1, 3, 12, 12), torch.zeros(3, 1, 5, 5)
    counted = cost.macs(separable_conv, x, depthwise, torch.zeros(256, 3, 1, 1), padding="valid")
    assert counted == 53_952
    assert cost.macs(conv, x, torch.zeros(256, 3, 5, 5)) == 1_228_800


def test_the_module_gives_the_function(draw):
    layer = SeparableConv(16, 32, 3).double()
    assert sum(p.numel() for p in layer.parameters()) == 656
    x = draw(1, 16, 4, 4).detach()
    torch.testing.assert_close(layer(x), separable_conv(x, layer.depthwise, layer.pointwise))


def test_steps_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="6 channels, got 3"):
        separable_conv(torch.zeros(1, 3, 5), torch.zeros(6, 1, 3), torch.zeros(4, 3, 1))
