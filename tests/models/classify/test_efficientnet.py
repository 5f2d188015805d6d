import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import MBConv, SameConv
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.efficientnet import EfficientNet
from convatlas.pretrained.keys import efficientnet as keys

COUNTS = {
    "efficientnet_b0": (5_288_548, 385_814_752),
    "efficientnet_b1": (7_794_184, 686_802_832),
    "efficientnet_b2": (9_109_994, 993_561_872),
    "efficientnet_b3": (12_233_232, 1_827_141_392),
    "efficientnet_b4": (19_341_616, 4_393_771_024),
    "efficientnet_b5": (30_389_784, 10_266_384_752),
    "efficientnet_b6": (43_040_704, 19_067_593_536),
    "efficientnet_b7": (66_347_960, 37_745_884_192),
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_counts_are_those_of_the_reference_networks(name, padding, counted):
    assert counted(name, padding=padding) == COUNTS[name]


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2", "lite3", "lite4"])
def test_lite_has_the_params_of_timm(name, counted):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        peer = timm.create_model(f"tf_efficientnet_{name}")
    assert counted(f"efficientnet_{name}")[0] == sum(p.numel() for p in peer.parameters())


@pytest.mark.parametrize(("name", "eps"), [("b0", 1e-5), ("b2", 1e-5)])
def test_answers_equal_torchvision(name, eps, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(f"efficientnet_{name}", num_classes=10, norm_eps=eps)
    peer = getattr(torchvision.models, f"efficientnet_{name}")(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


# Odd and even maps are padded by other amounts: 65 and 75 pixels have odd ones at several depths.
@pytest.mark.parametrize(
    ("name", "theirs", "options", "size"),
    [
        ("b0", "efficientnet_b0", {"norm_eps": 1e-5}, 64),
        ("b0", "tf_efficientnet_b0", {"padding": "same"}, 64),
        ("b1", "tf_efficientnet_b1", {"padding": "same"}, 75),
        ("lite0", "tf_efficientnet_lite0", {}, 64),
        ("lite2", "tf_efficientnet_lite2", {}, 65),
        ("lite0", "efficientnet_lite0", {"padding": "symmetric", "norm_eps": 1e-5}, 64),
    ],
)
def test_answers_equal_timm(name, theirs, options, size, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(f"efficientnet_{name}", num_classes=10, **options)
    peer = timm.create_model(theirs, num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours), size=size)


@pytest.mark.parametrize("name", ["b0", "b3", "lite0"])
def test_the_names_of_efficientnet_pytorch_cover_every_layer_once(name):
    """Its package is not installed here; the weights of Lite0 test the names themselves."""
    model = create_model(f"efficientnet_{name}")
    ours = [mine for _, mine in keys.efficientnet_pytorch_paths(model)]
    theirs = [path for path, _ in keys.efficientnet_pytorch_paths(model)]
    assert sorted(ours) == sorted(mine for _, mine in keys.timm_paths(model))
    assert len(set(theirs)) == len(theirs)
    holding = {key.rpartition(".")[0] for key in model.state_dict()}
    assert set(ours) == holding


def test_same_padding_is_that_of_tensorflow():
    """Windows start at multiples of the stride less half of the total padding, rounded down."""
    torch.manual_seed(0)
    for kernel, stride, size in [(3, 2, 8), (3, 2, 9), (5, 2, 8), (5, 2, 7), (5, 2, 1), (3, 3, 7)]:
        conv = SameConv(1, 1, kernel, stride=stride, bias=False)
        x = torch.randn(1, 1, size, size)
        out = -(-size // stride)
        total = max((out - 1) * stride + kernel - size, 0)
        expected = torch.zeros(out, out)
        for i in range(out):
            for j in range(out):
                for k in range(kernel):
                    for m in range(kernel):
                        row = i * stride + k - total // 2
                        column = j * stride + m - total // 2
                        if 0 <= row < size and 0 <= column < size:
                            expected[i, j] += conv.weight[0, 0, k, m] * x[0, 0, row, column]
        torch.testing.assert_close(conv(x)[0, 0], expected)


@pytest.mark.slow
@pytest.mark.parametrize("size", [64, 75])
def test_same_padding_survives_export(size):
    torch.manual_seed(0)
    model = EfficientNet(width=0.25, num_classes=5, padding="same").eval()
    x = torch.rand(2, 3, size, size)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


def test_a_block_equals_a_plain_second_computation():
    torch.manual_seed(0)
    block = create_model("efficientnet_b0").stages[2][1].double().eval()
    x = torch.randn(2, 40, 6, 6, dtype=torch.float64)
    y = F.silu(block.expand[1](F.conv2d(x, block.expand[0].weight)))
    y = F.silu(block.filter[1](F.conv2d(y, block.filter[0].weight, padding=2, groups=240)))
    assert block.excite.reduce.weight.shape == (10, 240)  # a quarter of the block's input
    means = y.mean((2, 3))
    hidden = F.silu(means @ block.excite.reduce.weight.T + block.excite.reduce.bias)
    gate = hidden @ block.excite.expand.weight.T + block.excite.expand.bias
    y = block.project[1](F.conv2d(y * gate.sigmoid()[:, :, None, None], block.project[0].weight))
    torch.testing.assert_close(block(x), x + y)


def test_survival_falls_on_a_line_from_one_to_that_of_the_last_block():
    model = EfficientNet(survival=0.7)
    blocks = [m for m in model.modules() if isinstance(m, MBConv)]
    assert len(blocks) == 16
    chances = [1 - 0.3 * number / 15 for number in range(16)]
    for block, chance in zip(blocks, chances, strict=True):
        assert block.drop.survival == (pytest.approx(chance) if block.residual else 1.0)
    model = EfficientNet(width=0.25, survival=0.5, dropout=0.0).train()
    x = torch.rand(1, 3, 64, 64).expand(16, -1, -1, -1)
    assert model(x).std(0).max() > 1e-3  # equal images, other blocks dropped
    assert model.eval()(x).std(0).max() < 1e-5


def test_depth_multiplies_blocks_rounded_up():
    assert EfficientNet(depth=1.1).repeats == (2, 3, 3, 4, 4, 5, 2)
    assert EfficientNet(depth=1.1, lite=True).repeats == (1, 3, 3, 4, 4, 5, 1)


def test_lite_keeps_stem_and_head():
    model = EfficientNet(width=2.0, lite=True)
    assert model.stages[0][0][0].out_channels == 32
    assert model.head[0].out_channels == 1280
    assert not any("excite" in key for key in model.state_dict())


def test_an_unknown_padding_is_refused():
    with pytest.raises(UsageError, match="padding must be one of symmetric, same, got valid"):
        EfficientNet(padding="valid")
