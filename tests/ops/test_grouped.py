import pytest
import torch

from convatlas import cost
from convatlas.ops import conv, grouped_conv


def test_equals_separate_convolutions_side_by_side(draw):
    x, weight = draw(2, 6, 5, 4).detach(), draw(9, 2, 3, 3).detach()
    parts = zip(x.chunk(3, dim=1), weight.chunk(3), strict=True)
    expected = torch.cat([conv(part, own, stride=2, padding="same") for part, own in parts], dim=1)
    torch.testing.assert_close(grouped_conv(x, weight, stride=2), expected)


def test_gradients_and_cost(draw):
    x, weight = draw(2, 4, 5), draw(6, 2, 3)
    assert torch.autograd.gradcheck(grouped_conv, (x, weight))
    assert cost.macs(grouped_conv, x, weight) == 2 * 5 * 4 * 6 * 3 // 2


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="got 5 for 2"):
        grouped_conv(torch.zeros(1, 5, 4), torch.zeros(2, 2, 3))
    with pytest.raises(ValueError, match="out_channels must be a multiple of groups, got 3 for 2"):
        grouped_conv(torch.zeros(1, 4, 4), torch.zeros(3, 2, 3))
