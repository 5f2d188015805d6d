import pytest
import torch
from torch import nn

from convatlas.models import create_model
from convatlas.pretrained.keys import mobilenet_v1 as keys

COUNTS = {  # alpha: params, macs at 224, 192, 160, 128
    1.0: (4_231_976, 568_740_352, 418_121_728, 290_675_200, 186_400_768),
    0.75: (2_585_560, 325_400_448, 239_273_472, 166_396_800, 106_770_432),
    0.5: (1_331_592, 149_497_088, 109_970_432, 76_524_800, 49_160_192),
    0.25: (470_072, 41_030_272, 30_212_608, 21_059_200, 13_570_048),
}
SIZES = (224, 192, 160, 128)


@pytest.mark.parametrize("width", COUNTS)
@pytest.mark.parametrize("size", SIZES)
def test_counts_of_the_whole_grid(width, size, counted):
    name = (
        "mobilenet_v1" + (f"_w{width}" if width < 1 else "") + (f"_r{size}" if size < 224 else "")
    )
    params, *macs = COUNTS[width]
    assert counted(name) == (params, macs[SIZES.index(size)])


def test_counts_of_the_shallow_and_the_full_convolution_network(counted):
    assert counted("mobilenet_v1_shallow") == (2_887_976, 307_323_392)
    assert counted("mobilenet_v1_conv") == (29_294_088, 4_867_293_184)


@pytest.mark.parametrize("relu6", [True, False])
def test_answers_equal_timm(relu6, assert_same_answers, relu6_to_relu):
    timm = pytest.importorskip("timm")
    ours = create_model("mobilenet_v1", num_classes=10, relu6=relu6)
    peer = timm.create_model("mobilenetv1_100", num_classes=10)
    if not relu6:
        relu6_to_relu(peer)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_answers_equal_pytorchcv(assert_same_answers, flat_paths):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model("mobilenet_v1", num_classes=10)
    peer = provider.get_model("mobilenet_w1", num_classes=10)
    stem, *units = flat_paths(ours)
    pairs = [("init_block", stem)]
    numbers = ((s, i) for s, count in enumerate((1, 2, 2, 6, 2), 1) for i in range(1, count + 1))
    for (s, i), mine in zip(numbers, units, strict=True):
        pairs += [(f"stage{s}.unit{i}.dw_conv", f"{mine}.0")]
        pairs += [(f"stage{s}.unit{i}.pw_conv", f"{mine}.1")]
    paths = [("output", "classifier")]
    for theirs, mine in pairs:
        paths += [(f"features.{theirs}.conv", f"{mine}.0"), (f"features.{theirs}.bn", f"{mine}.1")]
    assert_same_answers(ours, peer, paths, size=224)


def test_most_of_the_cost_is_in_the_1x1_convolutions(counted):
    """The paper's table 2: 94.86 percent of the multiply-adds, 74.59 of the weights."""
    _, macs = counted("mobilenet_v1")
    with torch.device("meta"):
        model = create_model("mobilenet_v1")
    weights = work = 0
    side = 112
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            side = side // 2 if module.stride == (2, 2) and module.groups > 1 else side
            if module.kernel_size == (1, 1):
                weights += module.weight.numel()
                work += module.weight.numel() * side**2
    assert 100 * work / macs == pytest.approx(94.86, abs=0.005)
    everywhere = sum(p.numel() for p in model.parameters() if p.ndim > 1)  # no norms, no biases
    assert 100 * weights / everywhere == pytest.approx(74.59, abs=0.005)
