import pytest
import torch

from convatlas import cost
from convatlas.ops import SuperSeparableConv, separable_conv, super_separable_conv


def test_equals_separable_slices_side_by_side(draw):
    x, depthwise, pointwise = draw(2, 6, 7), draw(6, 1, 3), draw(9, 2, 1)
    slices = zip(x.chunk(3, 1), depthwise.chunk(3), pointwise.chunk(3), strict=True)
    expected = torch.cat([separable_conv(*one, dilation=2) for one in slices], dim=1)
    got = super_separable_conv(x, depthwise, pointwise, groups=3, dilation=2)
    torch.testing.assert_close(got, expected)


def test_a_layer_alone_does_not_mix_slices(draw):
    x, depthwise, pointwise = draw(1, 4, 5), draw(4, 1, 3), draw(4, 2, 1)
    slopes = torch.autograd.functional.jacobian(
        lambda one: super_separable_conv(one, depthwise, pointwise, groups=2), x
    )
    between = slopes[0, :, :, 0].abs().sum((1, 3)) > 0
    assert torch.equal(between, torch.block_diag(*[torch.ones(2, 2)] * 2).bool())


def test_gradients_and_cost(draw):
    inputs = draw(2, 4, 5), draw(4, 1, 3), draw(6, 2, 1)

    def run(*tensors):
        return super_separable_conv(*tensors, groups=2)

    assert torch.autograd.gradcheck(run, inputs)
    assert cost.macs(run, *inputs) == 2 * 5 * (4 * 3 + 4 * 6 // 2)


def test_the_module_has_slicenets_count():
    layer = SuperSeparableConv(1000, 1000, 31, groups=2)
    assert sum(p.numel() for p in layer.parameters()) == 531_000
    x = torch.rand(1, 1000, 2)
    expected = super_separable_conv(x, layer.depthwise, layer.pointwise, groups=2)
    torch.testing.assert_close(layer(x), expected)


def test_groups_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="got 1000 for 3"):
        SuperSeparableConv(1000, 1000, 31, groups=3)
