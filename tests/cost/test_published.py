"""Counts against figures that others publish and against torch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_weights

from convatlas.cost import count

HALF_A_UNIT = 0.5e-3  # torchvision prints billions with three decimals

PRINTED = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_b4",
    "efficientnet_v2_s",
    "mnasnet0_5",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet18",
    "resnet50",
    "resnet152",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg11",
    "vgg16_bn",
    "vit_b_16",
    "wide_resnet50_2",
]


def build(name, **options):
    with torch.device("meta"):
        return get_model(name, weights=None, **options).eval()


def shape_of(weights):
    (side,) = weights.transforms().crop_size
    return (1, 3, side, side)


@pytest.mark.parametrize("name", PRINTED)
def test_torchvision_publishes_the_same(name):
    weights = next(iter(get_model_weights(name)))  # the first set: the form as published
    cost = count(build(name), shape_of(weights))
    assert cost.params == weights.meta["num_params"]
    assert abs(cost.macs / 1e9 - weights.meta["_ops"]) <= HALF_A_UNIT
    assert cost.uncounted == {}


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_hold_weights_and_cost_nothing(name):
    weights = next(iter(get_model_weights(name)))
    cost = count(build(name, init_weights=False, aux_logits=True), shape_of(weights))
    # Torchvision counts the heads of Inception among its parameters, those of GoogLeNet not.
    aux = sum(layer.params for layer in cost.layers if layer.name.lower().startswith("aux"))
    assert weights.meta["num_params"] == cost.params - (aux if name == "googlenet" else 0)
    assert abs(cost.macs / 1e9 - weights.meta["_ops"]) <= HALF_A_UNIT


@pytest.mark.parametrize("name", [*PRINTED, "regnet_y_400mf"])
def test_torchs_own_counter_finds_two_operations_for_each_mac(name):
    if name == "regnet_y_400mf":
        model = get_model(name, weights=None).to("meta").eval()  # its layout is computed
    else:
        model = build(name)
    x = torch.empty(1, 3, 224, 224, device="meta")
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # else its layers are one unknown operator
    try:
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as peer:
            model(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)
    assert peer.get_total_flops() == 2 * count(model, tuple(x.shape)).macs
