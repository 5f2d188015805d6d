import pytest
import torch

from convatlas.ops import dynamic_k, k_max_pool
from convatlas.ops.k_max_pooling import k_max_pool_each


def test_the_order_in_which_they_came_is_kept(draw):
    assert k_max_pool(torch.tensor([3.0, 9, 1, 7, 8]), 3).tolist() == [9, 7, 8]
    x = draw(2, 3, 8).detach()
    got = k_max_pool(x, 4)
    for row, kept in zip(x.flatten(0, 1).tolist(), got.flatten(0, 1).tolist(), strict=True):
        bar = sorted(row)[-4]
        assert kept == [value for value in row if value >= bar]


def test_one_is_the_maximum_and_all_is_the_sequence(draw):
    x = draw(2, 5).detach()
    assert torch.equal(k_max_pool(x, 1), x.max(1, keepdim=True).values)
    assert torch.equal(k_max_pool(x, 5), x)


def test_gradients(draw):
    assert torch.autograd.gradcheck(lambda t: k_max_pool(t, 2), (draw(2, 5),))


def test_dynamic_k():
    """The paper's example: a sentence of 18 words, three layers, k_top 3."""
    assert [dynamic_k(layer, 3, top=3, length=18) for layer in (1, 2, 3)] == [12, 6, 3]
    assert dynamic_k(1, 3, top=3, length=7) == 5  # ceil(14 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: k_max_pool(torch.zeros(2, 4), 5), "from 1 to the 4 steps, got 5"),
        (lambda: dynamic_k(4, 3, top=3, length=18), "layer must be from 1 to 3"),
    ],
)
def test_impossible_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_each_sequence_of_a_batch_keeps_as_many_as_it_should(draw):
    x, lengths, k = draw(3, 2, 9).detach(), [9, 4, 6], [5, 4, 1]
    x[:, 0, 3] = x[:, 0, 1]  # of equal values the first is taken first
    present = torch.arange(9) < torch.tensor(lengths)[:, None]
    got = k_max_pool_each(x, present, torch.tensor(k), 6)
    assert got.shape == (3, 2, 6)
    for row, length, count in zip(range(3), lengths, k, strict=True):
        expected = k_max_pool(x[row, :, :length], count)
        assert torch.equal(got[row, :, :count], expected)
        assert got[row, :, count:].eq(0).all()
