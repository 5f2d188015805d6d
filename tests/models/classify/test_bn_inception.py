import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model


def test_answers_equal_pytorchcv(assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model("bn_inception_released", num_classes=10)
    peer = provider.get_model("bninception", num_classes=10)
    theirs = [n for n, m in peer.named_modules() if isinstance(m, nn.Conv2d)]
    for module in peer.modules():
        if isinstance(module, nn.Conv2d):
            module.bias = None  # the norm behind it takes any bias away
        elif isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    mine = [n for n, m in ours.named_modules() if isinstance(m, nn.Conv2d)]
    paths = [("output", "classifier.1")]
    for their_conv, my_conv in zip(theirs, mine, strict=True):
        norm = f"{my_conv.removesuffix('.0')}.1"
        paths += [(their_conv, my_conv), (f"{their_conv.removesuffix('.conv')}.bn", norm)]
    assert_same_answers(ours, peer, paths, size=224)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("bn_inception", [(256, 320), (576, 576, 576, 576, 576), (1024, 1024, 1024)]),
        ("bn_inception_released", [(256, 320), (576, 576, 576, 608, 608), (1056, 1024, 1024)]),
    ],
)
def test_maps_have_the_published_sizes(name, widths):
    with torch.device("meta"):
        model = create_model(name)
        maps = model.stages[1](model.stages[0](model.example()[0]))
        maps = model.stages[2][0](maps)  # the last pooling of the stem
        rows = (model.stages[2][1:], *model.stages[3:])
        for modules, expected, side in zip(rows, widths, (28, 14, 7), strict=True):
            got = []
            for module in modules:
                maps = module(maps)
                got.append(maps.shape[1])
            assert (tuple(got), maps.shape[2]) == (expected, side)


def test_the_halving_maximum_rounds_up_and_agrees_with_its_definition():
    torch.manual_seed(0)
    model = create_model("bn_inception", width=0.125)
    pool = model.stages[3][0][2][0]
    for size in (1, 2, 7, 8):
        x = torch.rand(1, 3, size, size)
        got = pool(x)
        side = (size + 1) // 2
        assert got.shape == (1, 3, side, side)
        for i in range(side):
            for j in range(side):
                window = x[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
                assert torch.equal(got[0, :, i, j], window.amax((1, 2)))


@pytest.mark.parametrize("stem_stride", [8, 4, 2, 1])
@pytest.mark.parametrize("size", [1, 37, 50])
def test_any_size_is_taken_at_any_stem_stride(stem_stride, size):
    model = create_model("bn_inception", width=0.05, stem_stride=stem_stride).eval()
    stride = 4 * stem_stride
    with torch.no_grad():
        x = torch.rand(1, 3, size, size)
        assert model.stages(x).shape[2] == -(-size // stride)
        assert model(x).isfinite().all()


def test_feature_maps_halve_five_times():
    maps = create_model("bn_inception", width=0.125, features_only=True)
    assert maps.feature_strides == [2, 4, 8, 16, 32]


def test_a_wrong_stem_stride_is_refused():
    with pytest.raises(UsageError, match="stem_stride must be one of 8, 4, 2, 1, got 3"):
        create_model("bn_inception", stem_stride=3)
