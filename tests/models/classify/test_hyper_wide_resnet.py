import pytest
import torch
from torch import nn

from convatlas.blocks import GeneratedConv, ordinary_kernels
from convatlas.deploy.fold_norm import fold
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes

COUNTS = {1: (242, 95_210, 96_570, 557_568), 2: (966, 144_874, 147_578, 2_225_664)}


@pytest.mark.parametrize("widen", COUNTS)
def test_counts_are_those_of_the_paper(widen):
    with on_shapes():
        model = create_model(f"hyper_wide_resnet40_{widen}_cifar")
    tiles, params, printed, replaced = COUNTS[widen]
    layers = [m for m in model.modules() if isinstance(m, GeneratedConv)]
    assert len(layers) == 36
    assert sum(len(layer.embeddings) for layer in layers) == tiles
    assert sum(9 * layer.in_channels * layer.out_channels for layer in layers) == replaced
    assert sum(p.numel() for p in model.backbone.generator.parameters()) == 66_560 + 9_360
    assert sum(p.numel() for p in model.parameters()) == params
    # The paper counts the offset and both running statistics of a norm, and no gain.
    norms = [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert params + sum(norms) == printed


@pytest.mark.parametrize(("widen", "printed"), [(1, 562_730), (2, 2_235_498)])
def test_the_ordinary_network_beside_it_counts_as_the_paper_has_it(widen, printed):
    with on_shapes():
        model = create_model(f"wide_resnet40_{widen}_cifar", projects=False)
    norms = [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(p.numel() for p in model.parameters()) + sum(norms) == printed


def test_with_ordinary_kernels_it_is_the_wide_resnet_without_projections():
    torch.manual_seed(0)
    options = {"depth": 10, "num_classes": 4}
    model = create_model("hyper_wide_resnet40_2_cifar", **options).eval()
    x = torch.rand(2, 3, 12, 12)
    expected = model(x)
    ordinary_kernels(model)
    plain = create_model("wide_resnet40_2_cifar", projects=False, **options).eval()
    state = {k.removeprefix("backbone."): v for k, v in model.state_dict().items()}
    plain.load_state_dict(state, strict=True)
    assert torch.equal(plain(x), expected)


def test_folded_for_an_export_it_has_no_norm_behind_a_convolution_and_no_generator():
    model, (x,) = type(create_model("hyper_wide_resnet40_1_cifar", depth=10)).tiny()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.uniform_(0.5, 2)
    expected = model.eval()(x)
    fold(model)
    assert not any(isinstance(m, GeneratedConv) for m in model.modules())
    torch.testing.assert_close(model(x), expected)


def test_maps_are_those_of_the_stages():
    maps = create_model("hyper_wide_resnet40_1_cifar", features_only=True).eval()
    shapes = [m.shape[1:] for m in maps(torch.rand(1, 3, 32, 32))]
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert (list(maps.feature_channels), list(maps.feature_strides)) == ([16, 32, 64], [1, 2, 4])
