import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["resnet18", "capsnet", "convnext_tiny", "vgg11_bn"])
def test_a_network_has_the_tensors_that_a_drawn_one_has(name):
    with torch.device("meta"):
        expected = create_model(name).state_dict()
    with on_shapes(), Operations() as seen:
        got = create_model(name).state_dict()
    assert {key: (t.shape, t.dtype, t.device) for key, t in got.items()} == {
        key: (t.shape, t.dtype, t.device) for key, t in expected.items()
    }
    assert not seen.names & {"normal_", "uniform_", "fill_", "zero_"}


def test_its_answers_have_their_shape():
    with on_shapes():
        model = create_model("mobilenet_v2", num_classes=7)
        assert model.eval()(*model.example(batch=2)).shape == (2, 7)


def test_a_tensor_with_values_is_drawn_and_so_is_every_one_behind_it():
    weight = torch.empty(3)
    with on_shapes():
        nn.init.ones_(weight)
        assert nn.Linear(2, 2).weight.is_meta
    assert weight.tolist() == [1, 1, 1]
    assert nn.init.zeros_(torch.ones(2)).tolist() == [0, 0]


def test_a_misfit_is_still_found():
    with on_shapes(), pytest.raises(RuntimeError, match="size"):
        torch.empty(3).copy_(torch.empty(2))
