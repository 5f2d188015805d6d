"""Networks of other libraries: as before after counting, to the last attribute, and they run.

Many of them keep tables of positions, windows or anchors from one pass to the next.
"""

import pytest
import timm
import torch
import torchvision

from convatlas.cost import count

TINY = {"depths": (1, 1, 1, 1), "num_classes": 3}
TIMM = {
    "test_byobnet": {},
    "test_convnext2": {},
    "test_efficientnet_evos": {},
    "test_mambaout": {},
    "test_nfnet": {},
    "test_vit3": {},
    "levit_128s": {"embed_dim": (16, 24, 32), "depth": (1, 1, 1)},
    "efficientformer_l1": {"depths": (1, 1, 1, 1), "embed_dims": (8, 8, 16, 16)},
    "tiny_vit_5m_224": {"embed_dims": (32, 32, 64, 64), "num_heads": (1, 1, 2, 2), **TINY},
    "swin_tiny_patch4_window7_224": {"embed_dim": 12, **TINY},
    "swinv2_tiny_window8_256": {"embed_dim": 12, **TINY},
    "edgenext_xx_small": {"depths": (1, 1, 2, 2), "dims": (8, 16, 16, 16)},
}


@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm_are_as_before_and_run(name, assert_unchanged):
    model = timm.create_model(name, **TIMM[name])
    size = (1, *model.default_cfg["input_size"])
    assert_unchanged(model, lambda model: count(model, size))
    assert_unchanged(model.eval(), lambda model: count(model, size))
    with torch.no_grad():
        assert model(torch.rand(size)).device.type == "cpu"


TORCHVISION = {
    "shufflenet_v2_x0_5": {},
    "ssdlite320_mobilenet_v3_large": {"weights_backbone": None, "num_classes": 2},
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision_are_as_before_and_run(name, assert_unchanged):
    builder = torchvision.models.get_model_builder(name)
    model = builder(weights=None, **TORCHVISION[name]).eval()
    image = torch.rand(1, 3, 64, 64)
    inputs = ([image[0]],) if "ssd" in name else (image,)
    costs = []
    assert_unchanged(model, lambda model: costs.append(count(model, inputs)))
    assert costs[0].macs > 0
    assert costs[0].uncounted == {}
    with torch.no_grad():
        model(*inputs)
