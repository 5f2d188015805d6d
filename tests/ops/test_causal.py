import pytest
import torch

from convatlas import cost
from convatlas.ops import CausalConv, causal_conv, masked_conv, reading_order_mask


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_equals_a_masked_convolution_of_twice_the_reach(draw, dilation):
    x, weight = draw(2, 3, 8).detach(), draw(4, 3, 3).detach()
    wide = weight.new_zeros(4, 3, 4 * dilation + 1)
    wide[..., : 2 * dilation + 1 : dilation] = weight
    mask = reading_order_mask(3, 4, wide.shape[2:], "B")
    expected = masked_conv(x, wide, mask)
    torch.testing.assert_close(causal_conv(x, weight, dilation=dilation), expected)


def test_position_t_sees_t_and_t_minus_dilation_and_so_on(draw):
    weight = draw(1, 1, 3)
    slopes = torch.autograd.functional.jacobian(
        lambda x: causal_conv(x, weight, dilation=2), draw(1, 1, 7)
    )
    seen = [row.nonzero().flatten().tolist() for row in slopes[0, 0, :, 0, 0]]
    assert seen == [[0], [1], [0, 2], [1, 3], [0, 2, 4], [1, 3, 5], [2, 4, 6]]


def test_gradients_and_cost(draw):
    x, weight = draw(2, 4, 5), draw(6, 2, 3)

    def run(*inputs):
        return causal_conv(*inputs, dilation=2, groups=2)

    assert torch.autograd.gradcheck(run, (x, weight))
    assert cost.macs(run, x, weight) == 2 * 5 * 4 * 6 * 3 // 2


def test_the_module_gives_the_function():
    layer = CausalConv(4, 6, 3, dilation=2, groups=2)
    x = torch.rand(1, 4, 5)
    torch.testing.assert_close(layer(x), causal_conv(x, layer.weight, dilation=2, groups=2))


def test_images_are_refused():
    with pytest.raises(ValueError, match=r"must be \(n, c, t\), got \(1, 1, 4, 4\)"):
        causal_conv(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 3, 3))
