import pytest
import torch
from torch import nn

from convatlas.models import create_model
from convatlas.pretrained.keys import convnext as keys


def test_answers_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("convnext_tiny", num_classes=10)
    peer = torchvision.models.convnext_tiny(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


def test_answers_equal_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("convnext_tiny", repeats=(2, 1, 3, 1), width=0.5, num_classes=10)
    peer = timm.models.ConvNeXt(depths=(2, 1, 3, 1), dims=(48, 96, 192, 384), num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_at_first_each_block_is_nearly_the_identity():
    torch.manual_seed(0)
    model = create_model("convnext_tiny", width=0.25).eval()
    x = torch.randn(2, 24, 8, 8)
    for block in list(model.stages[0])[1:]:
        assert 0 < (block(x) - x).abs().max() < 1e-4
    strong = create_model("convnext_tiny", width=0.25, layer_scale=1.0).eval()
    assert (strong.stages[0][1](x) - x).abs().max() > 1e-3


def test_the_chance_to_skip_a_block_grows_from_nothing_to_the_last():
    model = create_model("convnext_small", width=0.125)
    skipped = [1 - block.drop.survival for stage in model.stages for block in list(stage)[1:]]
    assert skipped == pytest.approx([0.4 * k / 35 for k in range(36)])


def test_weights_begin_as_the_paper_draws_them():
    torch.manual_seed(0)
    model = create_model("convnext_tiny", width=0.5)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert all(layer.bias is not None and not layer.bias.any() for layer in layers)
    drawn = torch.cat([layer.weight.flatten() for layer in layers])
    assert drawn.std().item() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(("stem_stride", "smallest"), [(4, 32), (2, 16), (1, 8)])
def test_a_finer_stem_takes_smaller_images(stem_stride, smallest):
    model = create_model("convnext_tiny", width=0.125, num_classes=4, stem_stride=stem_stride)
    assert model.eval()(torch.rand(1, 3, smallest, smallest)).shape == (1, 4)
    with pytest.raises(ValueError, match=f"h and w from {smallest} pixels up"):
        model(torch.rand(1, 3, smallest - 1, smallest))


def test_maps_of_the_stages_are_those_of_a_resnet():
    model = create_model("convnext_tiny", width=0.125, features_only=True)
    assert model.feature_strides == [4, 8, 16, 32]
    assert model.feature_channels == [12, 24, 48, 96]


def test_with_dilation_every_second_pixel_is_one_of_the_coarse_maps():
    torch.manual_seed(0)
    coarse = create_model("convnext_tiny", width=0.125, features_only=True)
    options = {"width": 0.125, "output_stride": 16, "features_only": True}
    fine = create_model("convnext_tiny", **options)
    fine.load_state_dict(coarse.state_dict())
    x = torch.rand(1, 3, 128, 128)
    expected, got = coarse.eval()(x)[-1], fine.eval()(x)[-1]
    torch.testing.assert_close(got[..., ::2, ::2], expected)
