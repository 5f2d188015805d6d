import math

import pytest
import torch

from convatlas.ops import dynamic_pool, global_pool, pyramid_pool


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(("size", "bins"), [((7,), 3), ((5, 8), (2, 3)), ((3,), 5), ((4, 3, 5), 2)])
def test_bins_run_from_floor_to_ceiling(draw, size, bins, average):
    x = draw(2, 2, *size).detach()
    got = dynamic_pool(x, bins, average=average)
    each = bins if isinstance(bins, tuple) else (bins,) * len(size)
    for place in torch.cartesian_prod(*map(torch.arange, each)).view(-1, len(size)).tolist():
        cut = [
            slice(math.floor(j * i / n), math.ceil((j + 1) * i / n))
            for j, i, n in zip(place, size, each, strict=True)
        ]
        seen = x[(..., *cut)].flatten(2)
        expected = seen.mean(2) if average else seen.max(2).values
        torch.testing.assert_close(got[(..., *place)], expected)


def test_a_pyramid_is_its_levels_in_one_row(draw):
    x = draw(2, 3, 6, 5).detach()
    got = pyramid_pool(x)
    assert got.shape == (2, 3 * (1 + 4 + 16))
    torch.testing.assert_close(got[:, :3], x.amax((2, 3)))
    torch.testing.assert_close(got[:, 3:15].view(2, 3, 2, 2), dynamic_pool(x, 2))
    assert pyramid_pool(draw(2, 3, 9, 4), average=True).shape == got.shape


def test_the_global_mean_is_dynamic_pooling_to_one_bin(draw):
    x = draw(2, 3, 4, 5)
    torch.testing.assert_close(global_pool(x), dynamic_pool(x, 1, average=True)[..., 0, 0])


def test_gradients(draw):
    x = draw(1, 2, 5)
    assert torch.autograd.gradcheck(lambda t: pyramid_pool(t, (1, 2)), (x,))
    assert torch.autograd.gradcheck(global_pool, (x,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dynamic_pool(torch.zeros(1, 1, 4), 0), r"bins must be 1 or more, got \(0,\)"),
        (lambda: dynamic_pool(torch.zeros(1, 4), 1), "with 1 to 3 axes"),
        (lambda: pyramid_pool(torch.zeros(1, 1, 4), ()), "one level or more"),
        (lambda: global_pool(torch.zeros(1, 4)), r"must be \(n, c, i…\), got \(1, 4\)"),
    ],
)
def test_impossible_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
