import pytest
import torch

from convatlas import cost
from convatlas.ops import (
    SpatiallySeparableConv,
    TwoStepConv,
    conv,
    spatially_separable_conv,
    split_rank_one,
    two_step_conv,
)


@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
def test_equals_one_convolution_with_kernels_of_rank_one(draw, stride):
    x, column, row = draw(2, 3, 6, 5), draw(4, 3, 3), draw(4, 3, 2)
    full = column[..., :, None] * row[..., None, :]
    expected = conv(x, full, stride=stride, padding="same")
    torch.testing.assert_close(spatially_separable_conv(x, column, row, stride=stride), expected)


def test_two_steps_equal_one_convolution_through_the_middle_channels(draw):
    x, column, row = draw(2, 3, 6, 5), draw(2, 3, 3, 1), draw(4, 2, 1, 3)
    full = torch.einsum("mcu,dmv->dcuv", column[..., 0], row[:, :, 0])
    expected = conv(x, full, stride=2, padding="same")
    torch.testing.assert_close(two_step_conv(x, column, row, stride=2), expected)


def test_gradients(draw):
    assert torch.autograd.gradcheck(
        spatially_separable_conv, (draw(1, 2, 4, 3), draw(2, 2, 3), draw(2, 2, 3))
    )
    assert torch.autograd.gradcheck(
        two_step_conv, (draw(1, 2, 4, 3), draw(3, 2, 3, 1), draw(2, 3, 1, 3))
    )


def test_cost_is_the_formula(draw):
    x, column, row = draw(2, 3, 6, 5), draw(4, 3, 3), draw(4, 3, 2)
    counted = cost.macs(spatially_separable_conv, x, column, row, stride=2)
    assert counted == 2 * (3 * 5 * 3 * 4 * 3 + 3 * 3 * 3 * 4 * 2)
    counted = cost.macs(two_step_conv, x, draw(2, 3, 3, 1), draw(4, 2, 1, 3), stride=2)
    assert counted == 2 * (3 * 5 * 3 * 2 * 3 + 3 * 3 * 2 * 4 * 3)


def test_splitting_finds_a_product_again(draw):
    column, row = draw(2, 3, 3).detach(), draw(2, 3, 4).detach()
    kernel = column[..., :, None] * row[..., None, :]
    found_column, found_row, error = split_rank_one(kernel)
    torch.testing.assert_close(found_column[..., :, None] * found_row[..., None, :], kernel)
    assert error.max() < 1e-7


def test_the_error_of_a_split_is_what_the_nearest_product_misses(draw):
    kernel = draw(2, 2, 3, 3).detach()
    column, row, error = split_rank_one(kernel)
    missed = kernel - column[..., :, None] * row[..., None, :]
    torch.testing.assert_close(error, missed.norm(dim=(2, 3)) / kernel.norm(dim=(2, 3)))
    # No other product comes nearer.
    for _ in range(20):
        other = (column + 0.1 * draw(2, 2, 3).detach())[..., :, None] * row[..., None, :]
        assert ((kernel - other).norm(dim=(2, 3)) > missed.norm(dim=(2, 3))).all()


def test_known_kernels():
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
    identity, nothing = torch.eye(3), torch.zeros(3, 3)
    error = split_rank_one(torch.stack([sobel, identity, nothing])[None])[2][0]
    torch.testing.assert_close(error, torch.tensor([0.0, (2 / 3) ** 0.5, 0.0]), atol=1e-6, rtol=0)


def test_modules_give_the_functions():
    x = torch.rand(1, 16, 4, 4)
    layer = SpatiallySeparableConv(16, 32, 3)
    # Between the two steps stand 16 * 32 = 512 maps; a text calls them "of size 16x32".
    assert layer.column.shape[:2].numel() == 512
    torch.testing.assert_close(layer(x), spatially_separable_conv(x, layer.column, layer.row))
    steps = TwoStepConv(16, 8, 32, (1, 7), stride=2)
    torch.testing.assert_close(steps(x), two_step_conv(x, steps.column, steps.row, stride=2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="must have the same d and c"):
        spatially_separable_conv(
            torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 3), torch.zeros(2, 2, 3)
        )
    with pytest.raises(ValueError, match=r"must be \(d, c, kh, kw\)"):
        split_rank_one(torch.zeros(3, 3))
