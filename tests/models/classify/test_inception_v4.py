import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import Branches, Conv
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.inception_v4_modules import MeanInside
from convatlas.models.classify.inception_v4_resnet import InceptionResNet, ResidualBranches
from convatlas.pretrained.keys import inception_v4 as keys

COUNTS = {
    "inception_v4": (42_679_816, 12_253_974_624),
    "inception_resnet_v2": (55_843_464, 13_155_794_016),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference_networks(name, counted):
    assert counted(name) == COUNTS[name]


def test_version_1_counts_as_its_peer_without_what_that_adds(counted):
    """pytorchcv has one more module of the last kind, and 512 channels before the classifier."""
    linear = 2 * 1792 * 192 + 2 * 3 * 192 * 192 + 384 * 1792
    module = linear + 1792 + 4 * 2 * 192
    head, ours = 1792 * 512 + 512 * 1000, 1792 * 1000
    params, macs = counted("inception_resnet_v1")
    assert params == 23_995_624 - module - head - 2 * 512 + ours
    assert macs == 6_308_235_360 - 8 * 8 * linear - head + ours


@pytest.mark.parametrize("name", COUNTS)
def test_answers_equal_timm(name, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(name, num_classes=10)
    peer = timm.create_model(name, num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours), size=107)


@pytest.mark.parametrize(
    ("name", "channels", "sides"),
    [
        ("inception_v4", [64, 192, 384, 1024, 1536], [147, 71, 35, 17, 8]),
        ("inception_resnet_v1", [64, 192, 256, 896, 1792], [147, 71, 35, 17, 8]),
        ("inception_resnet_v2_paper", [64, 192, 384, 1152, 2144], [147, 71, 35, 17, 8]),
    ],
)
def test_maps_are_those_of_the_figures(name, channels, sides):
    with torch.device("meta"):
        model = create_model(name, features_only=True)
        maps = model(torch.rand(1, 3, 299, 299))
    assert model.feature_channels == channels
    assert [m.shape[2] for m in maps] == sides


@pytest.mark.parametrize(
    ("layout", "repeats"), [("v1", (5, 10, 5)), ("v2", (10, 20, 10)), ("v2-paper", (5, 10, 5))]
)
def test_modules_are_repeated_as_stated(layout, repeats):
    model = InceptionResNet(layout=layout, width=0.0625)
    residues = [
        [layer for layer in stage if isinstance(layer, ResidualBranches)] for stage in model.stages
    ]
    assert tuple(len(found) for found in residues if found) == repeats
    assert [found[0].scale for found in residues if found] == [0.17, 0.10, 0.20]
    last = residues[-1][-1]
    assert (last.scale == 1.0) == (layout == "v2")


@pytest.mark.parametrize("act", [True, False])
def test_a_residue_is_scaled_linear_and_added(act):
    torch.manual_seed(0)
    module = ResidualBranches(4, ((Conv(8),), (Conv(8), Conv(8, 3))), scale=0.3, act=act)
    module, x = module.double().eval(), torch.randn(2, 4, 7, 7, dtype=torch.float64)
    branches, linear = module.residue
    y = F.conv2d(branches(x), linear.weight, linear.bias)
    expected = x + 0.3 * y
    torch.testing.assert_close(module(x), expected.clamp(min=0) if act else expected)


def test_the_mean_of_a_window_leaves_out_what_is_beyond_the_border():
    y = MeanInside(3, stride=1, padding=1)(torch.ones(1, 1, 4, 4))
    assert torch.equal(y, torch.ones(1, 1, 4, 4))


def test_squeeze_and_excitation_stands_at_the_end_of_each_residue(counted):
    plain, gated = counted("inception_resnet_v2"), counted("se_inception_resnet_v2")
    extra = sum(n * (2 * c * (c // 16)) for c, n in {320: 10, 1088: 20, 2080: 10}.items())
    assert gated[1] - plain[1] == extra
    assert gated[0] - plain[0] == extra + 10 * 340 + 20 * 1156 + 10 * 2210


def test_branches_join_in_their_order():
    module = Branches(4, ((Conv(8),), (Conv(16),))).eval()
    x = torch.rand(1, 4, 3, 3)
    torch.testing.assert_close(module(x)[:, :8], module[0](x))


def test_other_layouts_are_refused():
    with pytest.raises(UsageError, match="layout must be one of v1, v2, v2-paper, got v3"):
        create_model("inception_resnet_v2", layout="v3")
