"""ESResNet has the counts of its sheet, pools as adaptive pooling does and sums both sides."""

import pytest
import torch
from torch.nn import functional as F

from convatlas.atlas.index import read_index
from convatlas.models import create_model
from convatlas.models.audio.esresnet import pool_to
from convatlas.models.on_shapes import on_shapes


def test_counts_are_those_of_resnet_50_and_the_attention():
    index = read_index()
    assert index["esresnet"].params == 23_610_482
    assert index["esresnet_attention"].params == 30_634_098
    with on_shapes():
        model = create_model("esresnet_attention", num_classes=10)
    sizes = [sum(p.numel() for p in branch.parameters()) for branch in model.attention]
    assert sizes == [17_408, 134_144, 529_408, 2_109_440, 4_233_216]
    assert sum(p.numel() for p in model.parameters()) == 30_552_138
    assert model.example()[0].shape == (1, 3, 341, 394)


@pytest.mark.parametrize("height", range(1, 10))
@pytest.mark.parametrize("width", [1, 2, 7, 10, 99])
def test_pooling_to_half_is_adaptive_pooling(height, width):
    torch.manual_seed(0)
    x = torch.randn(2, 3, height, width)
    for size in ((height, width), (-(-height // 2), -(-width // 2)), (1, 1)):
        expected = F.adaptive_max_pool2d(x, size)
        torch.testing.assert_close(pool_to(x, torch.zeros(2, 5, *size)), expected)


def test_a_recording_on_both_sides_gives_exactly_twice_the_features():
    torch.manual_seed(0)
    options = {"attention": True, "width": 0.125, "num_classes": 4}
    mono = create_model("esresnet", **options).eval()
    stereo = create_model("esresnet", stereo=True, **options).eval()
    stereo.load_state_dict(mono.state_dict())
    (x,) = mono.example(batch=2, size=(40, 33))
    other = torch.rand_like(x)
    with torch.no_grad():
        assert torch.equal(stereo.pooled(torch.stack([x, x], 1)), 2 * mono.pooled(x))
        both = stereo.pooled(torch.stack([x, other], 1))
        torch.testing.assert_close(both, mono.pooled(x) + mono.pooled(other))
    assert stereo.example(batch=2, size=33)[0].shape == (2, 2, 3, 33, 33)
    with pytest.raises(ValueError, match=r"must be \(n, 2, 3, h, w\) where stereo=True"):
        stereo(x)


def test_each_branch_multiplies_what_its_stage_gives():
    """A second way: torch's adaptive pooling, stage by stage, with the weights of the network."""
    torch.manual_seed(0)
    model = create_model("esresnet_attention", width=0.125).eval()
    (x,) = model.example(size=(45, 70))
    with torch.no_grad():
        expected = model.body[1][0](model.body[0](x))
        for stage, branch in zip(list(model.body)[1:], model.attention, strict=False):
            y = expected
            for unit in stage:
                y = y if isinstance(unit, torch.nn.MaxPool2d) else unit(y)
            pooled = F.adaptive_max_pool2d(expected, y.shape[2:])
            gate = branch.norm(branch.mix(branch.filter(pooled)))
            expected = y / (1 + (-gate).exp())
        torch.testing.assert_close(model.maps(x), expected)
        last = model.attention[4]
        gate = last.norm(last.mix(last.filter(expected.amax((2, 3), keepdim=True)))).flatten(1)
        features = expected.mean((2, 3)) / (1 + (-gate).exp())
        torch.testing.assert_close(model(x), model.classifier(features))


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
def test_attention_suits_small_spectrograms(stem_stride):
    options = {"stem_stride": stem_stride, "width": 0.25, "num_classes": 3}
    network = create_model("esresnet_attention", **options).eval()
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 3)


def test_weights_of_images_fit():
    resnet = create_model("resnet50", width=0.125, stride_in_3x3=True, num_classes=10)
    plain = create_model("esresnet", width=0.125, num_classes=10)
    attended = create_model("esresnet_attention", width=0.125, num_classes=10)
    plain.load_image_weights(resnet)
    attended.load_image_weights(resnet)
    plain.classifier.load_state_dict(resnet.classifier.state_dict())
    x = torch.rand(2, 3, 40, 50)
    with torch.no_grad():
        torch.testing.assert_close(plain.eval()(x), resnet.eval()(x))
    assert torch.equal(attended.body[0][0][0].weight, resnet.stages[0][0][0].weight)
