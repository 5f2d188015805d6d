import pytest
from torch import nn

from convatlas.models.registry import find_entry
from convatlas.ops.depthwise import DepthwiseConv
from convatlas.ops.layer_norms import GlobalLayerNorm
from convatlas.ops.pyramid import PyramidConv
from convatlas.ops.separable import SeparableConv
from convatlas.ops.transposed import TransposedConv
from convatlas.train.optimizer import build_optimizer
from convatlas.train.recipe import Recipe
from convatlas.train.weight_decay import kinds_of_parameters


def kinds(layer):
    return {name: kind for name, _, kind in kinds_of_parameters(layer)}


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv1d(4, 4, 3, groups=4, bias=False), "depthwise"),
        (nn.Conv3d(4, 8, 3, groups=4, bias=False), "depthwise"),
        (nn.ConvTranspose2d(4, 4, 3, groups=4, bias=False), "depthwise"),
        (nn.Conv2d(4, 4, 3, groups=2, bias=False), "weights"),
        (nn.Conv2d(1, 4, 3, bias=False), "weights"),  # one group of one channel: a full one
        (nn.Linear(4, 1, bias=False), "weights"),
        (nn.Embedding(3, 4), "others"),
        (nn.PReLU(4), "others"),
        (DepthwiseConv(4, 3), "depthwise"),
        (TransposedConv(4, 4, 3, groups=4, bias=False), "depthwise"),
        (TransposedConv(4, 4, 3, groups=2, bias=False), "weights"),
    ],
)
def test_the_kind_of_layer_decides(layer, kind):
    assert set(kinds(layer).values()) == {kind}


def test_layers_of_two_steps_have_a_depthwise_and_a_plain_one():
    assert kinds(SeparableConv(4, 6, 3)) == {"depthwise": "depthwise", "pointwise": "weights"}
    found = kinds(PyramidConv(4, 6, (3, 5)))
    assert found == {"weights.0": "depthwise", "weights.1": "depthwise", "pointwise": "weights"}


def test_a_norm_has_a_scale_and_a_bias_whatever_its_shape():
    for norm in (nn.BatchNorm2d(4), nn.LayerNorm((4, 5)), nn.GroupNorm(2, 4), GlobalLayerNorm(4)):
        assert kinds(norm) == {"weight": "norms", "bias": "others"}


def test_a_network_decays_by_the_shares_of_its_recipe():
    model, _ = find_entry("pydmobilenet29_cifar").cls.tiny()
    recipe = Recipe(weight_decay=0.2, depthwise_decay=0.5, norm_decay=0.25)
    groups = build_optimizer(model, recipe).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    expected = {"weights": 0.2, "depthwise": 0.1, "norms": 0.05, "others": 0.0}
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    alone = [m for m in layers if m.groups == m.in_channels > 1]
    assert alone
    assert all(decay[id(m.weight)] == (0.1 if m in alone else 0.2) for m in layers)
    for _, parameter, kind in kinds_of_parameters(model):
        assert decay[id(parameter)] == pytest.approx(expected[kind])
