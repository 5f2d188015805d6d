import pytest
import torch

from convatlas.blocks import Branches
from convatlas.models import create_model, find_entry
from convatlas.models.classify.mobilenet_v1 import SeparableUnit
from convatlas.models.classify.senet_inserted import with_gates
from convatlas.ops import SqueezeExcite

PLAIN = ("inception_v3", "bn_inception", "mobilenet_v1")


def gates(model):
    return [m for m in model.modules() if isinstance(m, SqueezeExcite)]


@pytest.mark.parametrize("name", PLAIN)
def test_the_gates_are_all_that_is_added(name, counted):
    plain, gated = counted(name), counted(f"se_{name}")
    with torch.device("meta"):
        found = gates(create_model(f"se_{name}"))
    channels = [gate.reduce.in_features for gate in found]
    assert gated[1] - plain[1] == sum(2 * c * (c // 16) for c in channels)
    assert gated[0] - plain[0] == sum(2 * c * (c // 16) + c + c // 16 for c in channels)


@pytest.mark.parametrize("name", PLAIN)
def test_every_module_has_its_gate_behind_it(name):
    with torch.device("meta"):
        model = create_model(f"se_{name}")
    pairs = 0
    for stage in model.stages:
        layers = list(stage)
        for layer, behind in zip(layers, [*layers[1:], None], strict=True):
            expected = isinstance(layer, Branches | SeparableUnit)
            assert isinstance(behind, SqueezeExcite) == expected
            pairs += expected
    assert pairs == len(gates(model)) > 0


def test_mobilenet_s_gates_are_those_of_the_layer_table(counted):
    outs = [64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    extra = sum(2 * c * c // 16 for c in outs)
    assert counted("se_mobilenet_v1")[1] == counted("mobilenet_v1")[1] + extra


def test_open_gates_leave_the_answer_as_it_was():
    torch.manual_seed(0)
    plain = create_model("mobilenet_v1", width=0.25, num_classes=5).eval()
    for conv in (m for m in plain.modules() if isinstance(m, torch.nn.Conv2d)):
        torch.nn.init.kaiming_normal_(conv.weight)  # else the signal dies before it is gated
    x = torch.rand(2, 3, 64, 64)
    expected = plain(x)
    plain.stages = with_gates(plain.stages, reduction=4)
    assert not torch.allclose(plain(x), expected)
    for gate in gates(plain):
        torch.nn.init.zeros_(gate.expand.weight)
        torch.nn.init.constant_(gate.expand.bias, 100.0)
    torch.testing.assert_close(plain(x), expected)


def test_the_auxiliary_classifier_of_inception_still_trains():
    model, (x,) = find_entry("se_inception_v3").cls.tiny()
    outputs, target = model.train()(x), torch.tensor([0, 3])
    loss = model.loss(outputs, target, torch.nn.functional.cross_entropy)
    main = torch.nn.functional.cross_entropy(outputs.logits, target)
    assert loss > main
    assert model.eval()(x).shape == (2, 5)


def test_feature_maps_are_taken_behind_the_gates():
    model = create_model("se_mobilenet_v1", width=0.25, features_only=True).eval()
    plain = create_model("mobilenet_v1", width=0.25, features_only=True)
    assert model.feature_channels == plain.feature_channels
    assert [m.shape[1] for m in model(torch.rand(1, 3, 64, 64))] == model.feature_channels
