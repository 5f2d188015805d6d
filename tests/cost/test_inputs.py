"""What a model may be counted with: tensors and shapes, by position, by name, nested."""

import pytest
import torch
from torch import nn

from convatlas.cost import count
from convatlas.errors import UsageError

ENCODER = {"d_model": 64, "nhead": 4, "dim_feedforward": 128, "batch_first": True}


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def product(a, b, *, scale=None):
    return a @ b


def test_a_bare_tensor_is_one_input_and_not_taken_apart():
    layer = nn.TransformerEncoderLayer(**ENCODER)
    x = torch.rand(2, 5, 64)
    cost = count(layer, x)
    tokens, width, hidden = 5, 64, 128
    each = 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden
    assert cost.macs == 2 * each
    assert cost.input == ((2, 5, 64),)
    assert cost == count(layer, (x,)) == count(layer, [x]) == count(layer, (2, 5, 64))


def test_a_dict_holds_inputs_by_name():
    attention = nn.MultiheadAttention(8, 2)
    x = torch.rand(5, 1, 8)
    by_place = count(attention, (x, x, x))
    assert count(attention, {"key": x, "value": x, "query": x}) == by_place
    assert count(attention, {name: (5, 1, 8) for name in ("query", "key", "value")}) == by_place
    assert count(attention, (x, x), kwargs={"value": x}) == by_place


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (product, (torch.rand(2, 3), torch.rand(3, 4))),
        (product, ((2, 3), (3, 4))),
        (product, [[2, 3], [3, 4]]),
        (product, {"a": (2, 3), "b": torch.Size((3, 4))}),
        (lambda both: product(*both), (((2, 3), (3, 4)),)),
        (lambda both: product(*both), ([torch.rand(2, 3), torch.rand(3, 4)],)),
        (lambda named: product(**named), ({"a": (2, 3), "b": (3, 4)},)),
        (lambda deep: product(deep["x"][0], deep["x"][1]["y"]), ({"x": [(2, 3), {"y": (3, 4)}]},)),
    ],
)
def test_shapes_and_tensors_may_be_nested(function, inputs):
    cost = count(Function(function), inputs)
    assert (cost.macs, cost.input) == (24, ((2, 3), (3, 4)))


def test_beside_a_tensor_numbers_are_an_argument_and_no_shape():
    pooled = Function(
        lambda x, size: nn.functional.adaptive_avg_pool2d(x, size).flatten(1) @ x[0, 0]
    )
    assert count(pooled, (torch.rand(1, 1, 4, 4), (2, 2))).macs == 16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_a_shape_has_the_type_of_the_models_own_weights(dtype):
    layer = nn.Linear(3, 4, dtype=dtype)
    cost = count(layer, (2, 3))
    assert cost == count(layer, torch.rand(2, 3, dtype=torch.float32).to(dtype))
    assert cost.peak_bytes == (3 * 4 + 4 + 2 * 3 + 2 * 4) * dtype.itemsize


def test_what_is_given_stays_as_it_is():
    x, names = torch.rand(2, 3), {"b": torch.rand(3, 4)}
    before = x.clone(), dict(names)
    count(Function(lambda a, b: a.add_(1) @ b), (x,), kwargs=names)
    assert torch.equal(x, before[0])
    assert names == before[1]
    count(Function(lambda a: a.add_(1) if a.sum() > 0 else a), x)  # runs with real numbers
    assert torch.equal(x, before[0])


@pytest.mark.parametrize("inputs", [5, None, "image.png", 2.5])
def test_what_is_no_input_is_refused_in_one_sentence(inputs):
    with pytest.raises(UsageError, match="inputs are a tensor, a shape"):
        count(nn.Linear(3, 4), inputs)


@pytest.mark.parametrize("inputs", [((2, 0), (3, 4)), {"a": (-1, 3), "b": (3, 4)}])
def test_senseless_shapes_are_refused_wherever_they_stand(inputs):
    with pytest.raises(UsageError, match="positive whole numbers"):
        count(Function(product), inputs)
