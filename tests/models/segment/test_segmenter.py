"""What every segmentation network owes: the sizes that it takes and answers are those it says."""

import inspect
from itertools import pairwise

import pytest
import torch

from convatlas.models import find_entry, model_names
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.segmenter import Segmenter, of_axis

NAMES = [name for name in model_names() if find_entry(name).task == "segment"]
CLASSES = list(dict.fromkeys(find_entry(name).cls for name in NAMES))


class Odd(Segmenter):
    """Another length along each axis."""

    dims = 3
    margin = (2, 10, 3)
    size_multiple = (1, 16, 8)
    size_offset = (0, -4, 1)

    def __init__(self):
        super().__init__()
        self.in_channels, self.num_classes = 1, 2

    def forward(self, x):
        self.check(x)
        return x


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_the_lengths_that_it_says_and_answers_for_them(name):
    with on_shapes(), torch.no_grad():
        model = find_entry(name).build(num_classes=7).eval()
        assert isinstance(model, Segmenter)
        for wanted in (1, 50):
            sides = [model.input_length(wanted + axis, axis) for axis in range(model.dims)]
            logits = model(torch.rand(1, model.in_channels, *sides))
            answered = [model.output_length(side, axis) for axis, side in enumerate(sides)]
            assert logits.shape == (1, 7, *answered)
            for axis, each in enumerate(answered):
                assert each * model.output_stride >= wanted + axis


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_other_lengths_and_channels_are_refused_clearly(cls):
    model, (x,) = cls.tiny()
    wrong = [x[:, :1].repeat(1, model.in_channels + 1, *[1] * model.dims), x[0]]
    for axis in range(model.dims):
        smallest = model.input_length(1, axis)
        wrong.append(x.narrow(axis + 2, 0, smallest - 1))
        if of_axis(model.size_multiple, axis) > 1:
            wrong.append(torch.cat([x, x.narrow(axis + 2, 0, 1)], dim=axis + 2))
    for each in wrong:
        with pytest.raises(ValueError, match=rf"{cls.__name__}: input must be \(n, "):
            model(each)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_a_wider_network_is_not_smaller(cls):
    assert "width" in inspect.signature(cls).parameters
    sizes = []
    for width in (0.1, 0.3, 0.5, 1.0, 2.0):
        with on_shapes():
            sizes.append(sum(p.numel() for p in cls(width=width, num_classes=3).parameters()))
    assert all(a < b for a, b in pairwise(sizes))


def test_lengths_follow_from_margin_multiple_and_offset():
    model = Odd()
    for axis, (margin, multiple, offset) in enumerate([(2, 1, 0), (10, 16, 12), (3, 8, 1)]):
        for wanted in range(1, 40):
            taken = [n for n in range(100) if n % multiple == offset and n - 2 * margin >= wanted]
            assert model.input_length(wanted, axis) == min(taken)
            assert model.output_length(min(taken), axis) == min(taken) - 2 * margin
    assert model(torch.zeros(1, 1, 5, 28, 9)).shape == (1, 1, 5, 28, 9)
    words = "d from 5 pixels up, h a multiple of 16 plus 12, from 28 pixels up, w a multiple of 8"
    with pytest.raises(ValueError, match=words):
        model(torch.zeros(1, 1, 5, 28, 10))
