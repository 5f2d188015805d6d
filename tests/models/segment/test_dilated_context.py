"""Dilated convolutions: counts, sizes and fields of the paper, and starts that change nothing."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.bilinear import BilinearUpsample
from convatlas.models.segment.context_module import ContextModule
from convatlas.models.segment.dilated_context import DilatedContext
from convatlas.models.segment.vgg_front_end import VGGFrontEnd


def params(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "front_end", "context"),
    [
        ("dilated_front_end", 134_346_581, 0),
        ("dilated_context", 134_346_581, 28_392),
        ("dilated_context_large", 134_346_581, 6_803_139),
        ("dilated_context_camvid", 134_305_611, 7_832),
        ("dilated_context_kitti", 134_305_611, 55 * 11**2 + 7 * 11),
        ("dilated_context_cityscapes", 134_338_387, 82 * 19**2 + 10 * 19),
        ("dilated_context_padded", 134_346_581, 28_392),
    ],
)
def test_parameters_are_those_counted_from_the_published_definitions(name, front_end, context):
    with on_shapes():
        model = create_model(name)
    assert (params(model.front_end), params(model.context)) == (front_end, context)
    assert params(model) == front_end + context


def test_heads_of_deeplab_have_the_layers_of_the_paper():
    """VGG's convolutions, then fc6 of 3 x 3, fc7 and the scores, once or in four branches."""
    branch = 9 * 512 * 1024 + 1024 + 1024**2 + 1024 + 1024 * 21 + 21
    with on_shapes():
        assert params(create_model("deeplab_large_fov")) == 14_714_688 + branch
        assert params(create_model("deeplab_aspp")) == 14_714_688 + 4 * branch


def test_an_image_of_900_pixels_gives_66_scores_and_528_logits():
    with on_shapes(), torch.no_grad():
        model = create_model("dilated_context").eval()
        image = torch.rand(1, 3, 900, 508)
        assert model.front_end(image).shape == (1, 21, 66, 17)
        assert model(image).shape == (1, 21, 528, 136)
        for height in (372, 896):  # nothing would be left; not divisible
            with pytest.raises(ValueError, match="a multiple of 8 plus 4, from 380 pixels up"):
                model(torch.rand(1, 3, height, 508))


@pytest.mark.parametrize(("layers", "field"), [(7, 35), (8, 67), (10, 259)])
def test_a_score_sees_the_field_of_the_table(layers, field):
    module = ContextModule(2, layers=layers)
    for layer in module:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
    side = field + 20
    x = torch.ones(1, 2, side, side, dtype=torch.float64, requires_grad=True)
    y = module.double()(x)
    y[0, 0, side // 2, side // 2].backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert (len(rows), rows.max() - rows.min() + 1) == (field, field)
    assert module.receptive_field == field


@pytest.mark.parametrize("padding", ["once", "each"])
@pytest.mark.parametrize(("form", "start"), [("basic", "identity"), ("large", "exact")])
def test_a_module_that_begins_as_the_identity_returns_its_positive_input(padding, form, start):
    scores = torch.randn(2, 3, 9, 8)
    module = ContextModule(3, form=form, start=start, padding=padding, noise=0.0)
    torch.testing.assert_close(module(scores), scores.relu())


def test_with_the_noise_of_the_start_classes_stay_those_of_the_input():
    torch.manual_seed(0)
    scores = 4 * torch.randn(2, 5, 20, 20)
    for form, start in (("basic", "identity"), ("large", "exact")):
        answer = ContextModule(5, form=form, start=start)(scores)
        same = answer.argmax(1) == scores.argmax(1)
        assert same[scores.amax(1) > 1].float().mean() > 0.85
    torch.manual_seed(0)
    drawn = ContextModule(5, start="random")(scores)
    assert (drawn.argmax(1) == scores.argmax(1)).float().mean() < 0.5


def test_weights_of_the_large_form_follow_equation_5():
    classes = 3
    module = ContextModule(classes, form="large", noise=0.0)
    convs = [layer for layer in module if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convs] == [classes * m for m in (2, 2, 4, 8, 16, 32, 32, 1)]
    for conv in convs[:3] + convs[-1:]:
        out, into, k, _ = conv.weight.shape
        for a in range(into):
            for b in range(out):
                alike = math.floor(a * classes / into) == math.floor(b * classes / out)
                expected = torch.zeros(k, k)
                expected[k // 2, k // 2] = classes / (into + out) if alike else 0.0
                torch.testing.assert_close(conv.weight[b, a], expected)
    # What the printed weights do to the size of a score, as the file's head says.
    shares = [conv.in_channels / (conv.in_channels + conv.out_channels) for conv in convs]
    scores = torch.rand(1, classes, 4, 4)
    torch.testing.assert_close(module(scores), scores * math.prod(shares))
    assert 900 < 1 / math.prod(shares) < 1100


def test_enlarging_is_bilinear_resizing_inside_and_fades_at_the_border():
    x = torch.randn(2, 3, 6, 7)
    got = BilinearUpsample(3, 8)(x)
    expected = F.interpolate(x, scale_factor=8, mode="bilinear", align_corners=False)
    torch.testing.assert_close(got[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4])
    ones = BilinearUpsample(1, 8)(torch.ones(1, 1, 4, 4))[0, 0, 16]
    torch.testing.assert_close(ones[:4], torch.tensor([9.0, 11.0, 13.0, 15.0]) / 16)


def test_padding_changes_only_what_is_near_the_border():
    """The crop begins at 2, where both forms pool the same pairs of pixels."""
    torch.manual_seed(0)
    options = {"in_channels": 1, "num_classes": 4, "width": 1 / 32}
    valid = VGGFrontEnd(1, 4, width=1 / 32).eval()
    padded = VGGFrontEnd(1, 4, width=1 / 32, padding="same").eval()
    padded.load_state_dict(valid.state_dict())
    image = torch.rand(1, 1, 412, 412)
    with torch.no_grad():
        expected, got = valid(image), padded(image[..., 2:410, 2:410])
    assert expected.shape[2:] == (5, 5)
    torch.testing.assert_close(got[..., 24:27, 24:27], expected[..., 1:4, 1:4])
    assert not torch.allclose(got[..., 23, 23], expected[..., 0, 0])
    assert DilatedContext(**options).margin == (412 - 8 * 5) / 2


def test_branches_of_different_reach_need_padding():
    with pytest.raises(UsageError, match="head='aspp' needs padding='same'"):
        create_model("dilated_front_end", head="aspp")
