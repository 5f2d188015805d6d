import pytest
import torch

from convatlas.models import create_model
from convatlas.pretrained.keys import mobilenet_v2 as keys

COUNTS = {
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v2_w1.4": (6_108_776, 582_195_824),
    "mobilenet_v2_w0.75": (2_636_424, 209_069_792),
    "mobilenet_v2_w0.5": (1_968_680, 97_131_840),
    "mobilenet_v2_w0.35": (1_677_128, 59_285_808),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference_networks(name, counted):
    assert counted(name) == COUNTS[name]


def test_answers_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("mobilenet_v2", num_classes=10)
    peer = torchvision.models.mobilenet_v2(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


@pytest.mark.parametrize("width", [0.35, 0.5, 1.4])
def test_answers_equal_timm(width, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("mobilenet_v2", width=width, num_classes=10)
    peer = timm.create_model(f"mobilenetv2_{round(100 * width):03d}", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_the_narrow_end_is_linear():
    torch.manual_seed(0)
    block = create_model("mobilenet_v2", width=0.5).stages[1][0]
    assert (block(torch.randn(2, 8, 8, 8)) < 0).any()
