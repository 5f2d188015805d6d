from itertools import product

import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import average_pool, l2_pool, max_pool
from convatlas.ops.arithmetic import pooled_size


def windows_of(x, kernel, stride, padding):
    """Each window's values inside the input, and the numbers of its place, 2-D, plainly."""
    sizes = [pooled_size(i, kernel, stride=stride, padding=padding) for i in x.shape[2:]]
    for row, column in product(*map(range, sizes)):
        at = [
            (row * stride + u - padding, column * stride + v - padding)
            for u, v in product(range(kernel), repeat=2)
        ]
        inside = [(u, v) for u, v in at if 0 <= u < x.shape[2] and 0 <= v < x.shape[3]]
        yield row, column, torch.stack([x[:, :, u, v] for u, v in inside])


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0)])
def test_equals_the_slow_plain_version(draw, kernel, stride, padding):
    x = draw(2, 3, 5, 6).detach()
    options = {"stride": stride, "padding": padding}
    largest, mean = max_pool(x, kernel, **options), average_pool(x, kernel, **options)
    inner = average_pool(x, kernel, **options, count_padding=False)
    root = l2_pool(x, kernel, **options)
    root_mean = l2_pool(x, kernel, **options, mean=True)
    for row, column, values in windows_of(x, kernel, stride, padding):
        place = (..., row, column)
        torch.testing.assert_close(largest[place], values.max(0).values)
        torch.testing.assert_close(mean[place], values.sum(0) / kernel**2)
        torch.testing.assert_close(inner[place], values.mean(0))
        torch.testing.assert_close(root[place], values.square().sum(0).sqrt())
        torch.testing.assert_close(root_mean[place], root[place] / kernel)


def test_the_example_of_the_sheet():
    rows = [[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]]
    got = max_pool(torch.tensor(rows, dtype=torch.float)[None, None], 2)
    assert got[0, 0].tolist() == [[20, 30], [112, 37]]


def test_l2_is_torchs_lp_pool(draw):
    x = draw(1, 2, 6)
    torch.testing.assert_close(l2_pool(x, 2), F.lp_pool1d(x, 2.0, 2))


def test_the_gradient_of_l2_at_zeros_is_zero():
    x = torch.zeros(1, 1, 4, requires_grad=True)
    l2_pool(x, 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[0, 0, 0, 0]]]


def test_the_gradient_of_max_goes_to_the_first_of_equals():
    x = torch.tensor([[[1.0, 5, 5, 2]]], requires_grad=True)
    max_pool(x, 4).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[0, 1, 0, 0]]]


@pytest.mark.parametrize("size", [(7,), (5, 7), (3, 4, 5)])
def test_ceil_mode_keeps_the_last_window(draw, size):
    x = draw(1, 1, *size).detach()
    for pool in (max_pool, average_pool):
        got = pool(x, 2, stride=2, ceil_mode=True)
        assert list(got.shape[2:]) == [pooled_size(i, 2, ceil_mode=True) for i in size]


def test_what_is_over_the_end_never_counts():
    x = torch.tensor([[[1.0, 2, -3]]])
    assert max_pool(x, 2, ceil_mode=True).flatten().tolist() == [2, -3]
    assert average_pool(x, 2, ceil_mode=True).flatten().tolist() == [1.5, -3]


def test_dilated_max(draw):
    x = draw(1, 1, 6).detach()
    expected = torch.stack([torch.stack([x[0, 0, i], x[0, 0, i + 3]]).max() for i in range(3)])
    torch.testing.assert_close(max_pool(x, 2, stride=1, dilation=3)[0, 0], expected)


@pytest.mark.parametrize("pool", [max_pool, average_pool, l2_pool])
def test_gradients_and_no_cost(draw, pool):
    x = draw(1, 2, 5, 4)
    assert torch.autograd.gradcheck(lambda t: pool(t, 2, stride=1), (x,))
    assert cost.macs(pool, x, 2) == 0


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 1, 3, 3), {"kernel": 4}, "kernel 4 with dilation 1 spans 4 positions, but size 3"),
        ((1, 1, 8), {"kernel": 2, "padding": 2}, "at most half of the window, got 2 for 2"),
        ((1, 8), {"kernel": 2}, r"with 1 to 3 axes, got \(1, 8\)"),
    ],
)
def test_windows_that_do_not_fit_are_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        max_pool(torch.zeros(shape), **options)
