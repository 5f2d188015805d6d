import pytest
import torch

from convatlas.models import create_model
from convatlas.pretrained.keys import mobilenet_v2 as keys


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
