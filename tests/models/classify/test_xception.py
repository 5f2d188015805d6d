import pytest
import torch
from torch.nn import functional as F

from convatlas.models import create_model
from convatlas.models.classify.xception import SeparableNorm, XceptionBlock
from convatlas.pretrained.keys import xception as keys


def test_counts_are_those_of_the_reference_network(counted):
    assert counted("xception") == (22_855_952, 8_357_403_496)


def test_the_layers_for_jft_come_on_top(counted):
    plain, full = counted("xception"), counted("xception_fc")
    macs = 2048 * 4096 + 4096 * 4096 + 4096 * 1000 - 2048 * 1000
    assert full[1] - plain[1] == macs
    assert full[0] - plain[0] == macs + 2 * 4096


def test_answers_equal_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("xception", num_classes=10)
    peer = timm.create_model("legacy_xception", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours), size=75)


def test_there_are_36_convolutions_in_14_modules():
    model = create_model("xception", width=0.125)
    stem, separable = 2, sum(isinstance(m, SeparableNorm) for m in model.modules())
    assert stem + separable == 36
    assert sum(isinstance(m, XceptionBlock) for m in model.modules()) + 2 == 14


@pytest.mark.parametrize("activated", [False, True])
def test_a_block_equals_its_plain_computation(activated):
    torch.manual_seed(0)
    block = XceptionBlock(4, (6, 6), halves=True, activated=activated).double().eval()
    x = torch.randn(2, 4, 9, 9, dtype=torch.float64)
    y = x
    for layer in (m for m in block.residue if isinstance(m, SeparableNorm)):
        y = y if activated and y is x else y.clamp(min=0)
        y = F.conv2d(y, layer[0].weight, padding=1, groups=y.shape[1])
        y = F.conv2d(y, layer[1].weight) / (1 + 1e-5) ** 0.5
    y = F.pad(y, (1, 1, 1, 1), value=-torch.inf).unfold(2, 3, 2).unfold(3, 3, 2).amax((-2, -1))
    kept = F.conv2d(x, block.shortcut[0].weight, stride=2) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), y + kept)


def test_maps_are_those_of_the_paper():
    with torch.device("meta"):
        model = create_model("xception", features_only=True)
        maps = model(torch.rand(1, 3, 299, 299))
    assert [m.shape[2] for m in maps] == [147, 74, 37, 19, 10]
    assert model.feature_channels == [64, 128, 256, 728, 2048]
    assert model.feature_strides == [2, 4, 8, 16, 32]


def test_small_images_keep_more_resolution():
    model = create_model("xception", width=0.0625, stem_stride=1, num_classes=3).eval()
    assert model(torch.rand(1, 3, 5, 5)).shape == (1, 3)
    with pytest.raises(ValueError, match="from 5 pixels up"):
        model(torch.rand(1, 3, 4, 5))
