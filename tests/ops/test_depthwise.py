import pytest
import torch

from convatlas import cost, kernels
from convatlas.ops import DepthwiseConv, conv, depthwise_conv


@pytest.mark.parametrize("size", [(7,), (5, 6), (3, 4, 3)])
@pytest.mark.parametrize(("multiplier", "kernel", "stride"), [(1, 3, 1), (2, 2, 2)])
def test_equals_each_channel_by_itself(draw, size, multiplier, kernel, stride):
    x = draw(2, 3, *size).detach()
    weight = draw(3 * multiplier, 1, *[kernel] * len(size)).detach()
    expected = torch.cat(
        [
            conv(x[:, c : c + 1], own, stride=stride, padding="same")
            for c, own in enumerate(weight.chunk(3))
        ],
        dim=1,
    )
    torch.testing.assert_close(depthwise_conv(x, weight, stride=stride), expected)


def test_gradients_and_cost(draw):
    x, weight = draw(2, 2, 4, 5), draw(4, 1, 3, 3)
    assert torch.autograd.gradcheck(depthwise_conv, (x, weight))
    assert cost.macs(depthwise_conv, x, weight) == 2 * 20 * 2 * 2 * 9


def test_the_module_gives_the_function(draw):
    layer = DepthwiseConv(3, 3, multiplier=2, stride=2).double()
    x = draw(1, 3, 5, 5).detach()
    torch.testing.assert_close(layer(x), depthwise_conv(x, layer.weight, stride=2))
    assert layer.weight.shape == (6, 1, 3, 3)


def test_filters_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"3 channels need filters .* got \(4, 1, 3\)"):
        depthwise_conv(torch.zeros(1, 3, 5), torch.zeros(4, 1, 3))
    with pytest.raises(ValueError, match=r"got \(3, 2, 3\)"):
        depthwise_conv(torch.zeros(1, 3, 5), torch.zeros(3, 2, 3))


@pytest.mark.parametrize("size", [(9,), (6, 7)])
def test_the_kernel_and_torch_agree_in_float32(size):
    torch.manual_seed(0)
    x = torch.rand(2, 5, *size)
    weight = torch.rand(5, 1, *[3] * len(size))
    expected = conv(x.double(), weight.double(), stride=2, padding="same", groups=5)
    for flag in (True, False):
        with kernels.enabled(flag):
            got = depthwise_conv(x, weight, stride=2)
        assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
