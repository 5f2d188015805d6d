import pytest
import torch

from convatlas.ops import pad

ONE_TO_FOUR = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("zeros", [0, 0, 1, 2, 3, 4, 0, 0]),
        ("reflect", [3, 2, 1, 2, 3, 4, 3, 2]),
        ("replicate", [1, 1, 1, 2, 3, 4, 4, 4]),
        ("circular", [3, 4, 1, 2, 3, 4, 1, 2]),
    ],
)
def test_the_example_of_the_sheet(mode, expected):
    assert pad(ONE_TO_FOUR, [(2, 2)], mode=mode).flatten().tolist() == expected


def test_constant_puts_its_value_there():
    padded = pad(ONE_TO_FOUR, [(1, 2)], mode="constant", value=9)
    assert padded.flatten().tolist() == [9, 1, 2, 3, 4, 9, 9]


def test_numpys_symmetric_mode_is_none_of_ours():
    with pytest.raises(ValueError, match="one of zeros, constant, reflect, replicate, circular"):
        pad(ONE_TO_FOUR, [(2, 2)], mode="symmetric")


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_sides_belong_to_their_axis(mode):
    x = torch.rand(1, 1, 3, 4)
    assert pad(x, [(1, 2), (3, 0)], mode=mode).shape == (1, 1, 6, 7)
    assert torch.equal(pad(x, [(1, 2), (3, 0)], mode=mode)[:, :, 1:4, 3:], x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pad(ONE_TO_FOUR, [(4, 0)], mode="reflect"), "0 to 3 positions a side from size 4"),
        (lambda: pad(ONE_TO_FOUR, [(0, 5)], mode="circular"), "0 to 4 positions a side"),
        (lambda: pad(ONE_TO_FOUR, [(1, 1)], value=2), "a value needs mode 'constant'"),
        (lambda: pad(ONE_TO_FOUR, [(1, 1), (1, 1)]), "2 axes to pad"),
    ],
)
def test_more_than_the_mode_can_take_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
