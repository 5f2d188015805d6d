import pytest
import torch

from convatlas.ops import stochastic_pool

VALUES = torch.tensor([1.0, 0.0, 3.0, 6.0]).view(1, 1, 2, 2)


def test_out_of_training_it_is_the_expected_value():
    assert stochastic_pool(VALUES, 2, training=False).item() == pytest.approx((1 + 9 + 36) / 10)


def test_draws_are_as_frequent_as_the_values_are_large():
    generator = torch.Generator().manual_seed(0)
    many = VALUES.expand(4000, 1, 2, 2)
    drawn = stochastic_pool(many, 2, training=True, generator=generator).flatten()
    for value in (0.0, 1.0, 3.0, 6.0):
        share = (drawn == value).double().mean().item()
        # Five standard deviations of a share of 4,000 draws.
        assert abs(share - value / 10) <= 5 * (value / 10 * (1 - value / 10) / 4000) ** 0.5


def test_windows_of_zeros_give_zero_and_no_nan():
    x = torch.zeros(2, 3, 4, requires_grad=True)
    for training in (True, False):
        y = stochastic_pool(x, 2, training=training)
        assert y.abs().max() == 0
        y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_values_below_zero_are_never_drawn():
    x = torch.tensor([[[-5.0, 2.0, -1.0, -1.0]]])
    assert stochastic_pool(x, 2, training=True).flatten().tolist() == [2, 0]
    assert stochastic_pool(x, 2, training=False).flatten().tolist() == [2, 0]


def test_windows_may_overlap(draw):
    x = draw(2, 2, 5, 4).detach().abs()
    got = stochastic_pool(x, (3, 2), stride=1, training=False)
    for row in range(3):
        for column in range(3):
            seen = x[:, :, row : row + 3, column : column + 2]
            expected = seen.square().sum((2, 3)) / seen.sum((2, 3))
            torch.testing.assert_close(got[:, :, row, column], expected)


def test_gradients(draw):
    x = (draw(1, 2, 4).abs() + 0.1).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: stochastic_pool(t, 2, training=False), (x,))
    drawn = stochastic_pool(x, 2, training=True)
    drawn.sum().backward()
    assert x.grad is not None
    # Each window hands its gradient to the one value drawn.
    assert x.grad.view(2, 2, 2).sum(2).tolist() == [[1, 1], [1, 1]]
    assert (x * x.grad).view(2, 2, 2).sum(2).flatten().tolist() == drawn.flatten().tolist()


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="kernel 3 with dilation 1 spans 3 positions, but size 2"):
        stochastic_pool(torch.zeros(1, 1, 2), 3, training=False)
