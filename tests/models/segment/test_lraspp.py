"""LR-ASPP beside torchvision's with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.mobilenet_v2 import MobileNetV2
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.lraspp import LRASPP
from convatlas.pretrained.backbone import copied_tensors


def in_order_of_ours(peer):
    """The peer's tensors as ours lie: its scores of the coarse maps follow those of the fine."""
    return [*peer.backbone.state_dict().values(), *peer.classifier.state_dict().values()]


def test_answers_are_those_of_torchvision_with_the_same_weights():
    torch.manual_seed(0)
    peer = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).double().eval()
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    # Torchvision spreads the filter that would have halved the maps as well; the authors' code and
    # ours only those behind it, so that trained filters see what they were trained on.
    halving = peer.backbone["13"].block[1][0]
    assert halving.dilation == (2, 2)
    halving.dilation, halving.padding = (1, 1), (2, 2)
    ours = create_model("lraspp_mobilenet_v3_large").double().eval()
    own, theirs = ours.state_dict(), in_order_of_ours(peer)
    assert len(own) == len(theirs)
    ours.load_state_dict(
        {name: value.reshape(own[name].shape) for name, value in zip(own, theirs, strict=True)}
    )
    for sides in ((96, 160), (104, 72)):  # the second is no multiple of 16: an odd number of pixels
        images = torch.randn(2, 3, *sides, dtype=torch.float64)
        with torch.no_grad():
            scores, expected = ours(images), peer(images)["out"]
        assert scores.shape == (2, 21, sides[0] // 8, sides[1] // 8)
        enlarged = F.interpolate(scores, sides, mode="bilinear", align_corners=False)
        torch.testing.assert_close(enlarged, expected)


def test_a_classifiers_stages_keep_their_weights_and_see_twice_the_resolution():
    torch.manual_seed(0)
    classifier = MobileNetV2().eval()
    ours = create_model("lraspp_mobilenet_v2", num_classes=3).eval()
    copied = copied_tensors(ours, classifier.state_dict(), "lraspp_mobilenet_v2")
    ours.load_state_dict(copied, strict=False)
    assert {name.partition(".")[0] for name in ours.state_dict().keys() - copied.keys()} == {
        "mix",
        "weigh",
        "fine_scores",
        "coarse_scores",
    }
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        fine, coarse = ours.stages[:4](image), ours.stages(image)
        torch.testing.assert_close(fine, classifier.stages[:4](image))
        expected = classifier.stages(image)
    assert coarse.shape[2:] == (4, 6)
    assert expected.shape[2:] == (2, 3)
    # In front of the strides that became dilation nothing changes; behind, filters of one pixel
    # and of every second pixel see the same ones, away from the border.
    torch.testing.assert_close(
        ours.stages[4][0](fine)[:, :, ::2, ::2], classifier.stages[4][0](fine), rtol=1e-4, atol=1e-4
    )


def test_the_whole_image_weighs_the_coarse_maps():
    torch.manual_seed(0)
    model = LRASPP(backbone="mobilenet_v3_small", width=0.35, num_classes=2).eval()
    image = torch.rand(1, 3, 256, 256)
    image.requires_grad_()
    model(image)[0, 0, 0, 0].backward()
    assert image.grad[..., -8:, -8:].abs().max() > 0  # the opposite corner, far beyond any filter


@pytest.mark.parametrize("backbone", ["resnet110_cifar", "lenet5"])
def test_a_backbone_without_such_maps_is_refused(backbone):
    with pytest.raises(UsageError, match=backbone), on_shapes():
        LRASPP(backbone=backbone)
