import pytest
import torch
import torch.nn.functional as F

from convatlas.ops import downsample, upsample


def test_the_place_in_the_square_is_the_slow_part_of_the_channel(draw):
    x = draw(2, 3, 4, 6).detach()
    got = downsample(x, 2)
    assert got.shape == (2, 12, 2, 3)
    for row in range(2):
        for column in range(2):
            part = got[:, (row * 2 + column) * 3 : (row * 2 + column + 1) * 3]
            assert torch.equal(part, x[:, :, row::2, column::2])


def test_torch_has_the_same_numbers_in_another_order(draw):
    x = draw(1, 3, 6, 6).detach()
    theirs = F.pixel_unshuffle(x, 3).view(1, 3, 9, 2, 2).transpose(1, 2).reshape(1, 27, 2, 2)
    assert torch.equal(downsample(x, 3), theirs)


def test_nothing_is_lost(draw):
    x = draw(2, 3, 4, 6)
    assert torch.equal(upsample(downsample(x, 2), 2), x)
    y = draw(2, 12, 2, 3)
    assert torch.equal(downsample(upsample(y, 2), 2), y)
    assert torch.autograd.gradcheck(lambda t: downsample(t, 2), (x,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: downsample(torch.zeros(1, 1, 4, 5), 2), "multiples of block 2, got 4 x 5"),
        (lambda: upsample(torch.zeros(1, 6, 2, 2), 2), r"block \*\* 2 = 4, got 6"),
        (lambda: downsample(torch.zeros(1, 1, 4), 2), r"must be \(n, c, h, w\)"),
    ],
)
def test_what_does_not_divide_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
