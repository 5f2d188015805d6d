import pytest
import torch
from torch import Tensor, nn

from convatlas.models.example import image_example, tiny_build


class Pooled(nn.Module):
    example = image_example("image_size")
    tiny = tiny_build(12, in_channels=2, width=0.5)

    def __init__(self, *, width: float = 1.0, in_channels: int = 3, num_classes: int = 10):
        super().__init__()
        self.in_channels, self.image_size, self.width = in_channels, (6, 8), width
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x.mean((2, 3)))


class Square(Pooled):
    example = image_example(20)
    tiny = tiny_build()


def test_an_example_has_the_published_size_unless_another_is_asked_for():
    model = Pooled(in_channels=4)
    assert [x.shape for x in model.example()] == [(1, 4, 6, 8)]
    assert [x.shape for x in model.example(batch=3, size=5)] == [(3, 4, 5, 5)]
    assert [x.shape for x in model.example(2, (5, 7))] == [(2, 4, 5, 7)]
    assert [x.shape for x in Square().example()] == [(1, 3, 20, 20)]


def test_values_are_those_of_pixels():
    (x,) = Square().example(batch=8)
    assert 0 <= x.min() < 0.01
    assert 0.99 < x.max() <= 1


def test_an_example_lies_where_the_caller_builds():
    with torch.device("meta"):
        assert Square().example()[0].is_meta


def test_the_tiny_build_has_the_options_of_its_line():
    model, (x,) = Pooled.tiny()
    assert (type(model), model.width) == (Pooled, 0.5)
    assert x.shape == (2, 2, 12, 12)
    assert model(x).shape == (2, 5)


def test_channels_and_classes_of_the_tiny_build_can_be_chosen():
    model, (x,) = Pooled.tiny(in_channels=4, num_classes=7)
    assert x.shape == (2, 4, 12, 12)
    assert model(x).shape == (2, 7)


def test_without_a_size_the_tiny_build_takes_its_published_one():
    model, (x,) = Square.tiny()
    assert model.width == 1.0
    assert x.shape == (2, 3, 20, 20)


@pytest.mark.parametrize("cls", [Pooled, Square])
def test_both_say_what_they_do(cls):
    assert cls.example.__doc__.startswith("Return random images")
    assert cls.tiny.__doc__.startswith("Build the smallest honest network")
