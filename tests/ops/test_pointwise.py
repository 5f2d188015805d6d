import pytest
import torch

from convatlas import cost
from convatlas.ops import pointwise_conv


def test_is_one_linear_map_at_every_position(draw):
    x, weight, bias = draw(2, 3, 4, 5).detach(), draw(6, 3, 1, 1).detach(), draw(6).detach()
    got = pointwise_conv(x, weight, bias)
    for row in range(4):
        for column in range(5):
            expected = x[:, :, row, column] @ weight[:, :, 0, 0].T + bias
            torch.testing.assert_close(got[:, :, row, column], expected)


def test_gradients_and_cost(draw):
    x, weight = draw(2, 4, 5), draw(6, 2, 1)
    assert torch.autograd.gradcheck(lambda *t: pointwise_conv(*t, groups=2), (x, weight))
    assert cost.macs(pointwise_conv, x, weight, groups=2) == 2 * 5 * 4 * 6 // 2


def test_a_larger_kernel_is_refused():
    with pytest.raises(ValueError, match=r"the kernel must be 1, got \(3, 1\)"):
        pointwise_conv(torch.zeros(1, 2, 4, 4), torch.zeros(2, 2, 3, 1))
