import pytest
import torch

from convatlas import cost
from convatlas.ops import SubSeparableConv, conv, sub_separable_conv


def test_equals_one_full_convolution_with_the_product_of_the_kernels(draw):
    x, grouped, pointwise = draw(2, 4, 6), draw(6, 2, 3), draw(6, 6, 1)
    full = torch.zeros(6, 4, 3, dtype=torch.float64)
    for m in range(6):
        for middle in range(6):
            part = slice(0, 2) if middle < 3 else slice(2, 4)
            full[m, part] += (pointwise[m, middle] * grouped[middle]).detach()
    torch.testing.assert_close(
        sub_separable_conv(x, grouped, pointwise).detach(), conv(x, full, padding="same").detach()
    )


def test_gradients_and_cost(draw):
    inputs = draw(2, 4, 5), draw(6, 2, 3), draw(6, 6, 1)
    assert torch.autograd.gradcheck(sub_separable_conv, inputs)
    assert cost.macs(sub_separable_conv, *inputs) == 2 * 5 * (4 * 6 * 3 // 2 + 6 * 6)


def test_the_module_gives_the_function_and_slicenets_count(draw):
    layer = SubSeparableConv(64, 64, 31, groups=16)
    assert sum(p.numel() for p in layer.parameters()) == 31 * 64**2 // 16 + 64**2
    x = torch.rand(1, 64, 8)
    torch.testing.assert_close(layer(x), sub_separable_conv(x, layer.grouped, layer.pointwise))


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="in_channels must be a multiple of groups, got 1000"):
        SubSeparableConv(1000, 1000, 31, groups=16)
