"""SSDLite beside torchvision's with the same weights, and how the printed counts come about."""

import pytest
import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from convatlas.atlas.counting import build_on_shapes
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.detect.default_boxes import default_kinds
from convatlas.models.detect.ssdlite import SSDLite

PEER_PARAMS = 3_440_060  # as torchvision states it


@pytest.fixture(scope="module")
def peers():
    """Torchvision's network and ours with its weights, its norms' statistics moved."""
    torch.manual_seed(0)
    peer = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = create_model("ssdlite_mobilenet_v3_large_half_c4_c5", first_boxes=6).eval()
    own, theirs = ours.state_dict(), list(peer.state_dict().values())
    assert len(own) == len(theirs)
    ours.load_state_dict(
        {name: value.reshape(own[name].shape) for name, value in zip(own, theirs, strict=True)}
    )
    return ours, peer


def test_parameters_are_as_many_as_torchvisions(peers):
    ours, peer = peers
    assert sum(p.numel() for p in ours.parameters()) == PEER_PARAMS
    assert sum(p.numel() for p in peer.parameters()) == PEER_PARAMS


def test_answers_are_those_of_torchvision_with_the_same_weights(peers):
    ours, peer = peers
    torch.manual_seed(1)
    images = torch.randn(2, 3, 320, 320)
    with torch.no_grad():
        logits, offsets = ours(images)
        expected = peer.head(list(peer.backbone(images).values()))
    torch.testing.assert_close(logits, expected["cls_logits"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(offsets, expected["bbox_regression"], rtol=1e-4, atol=1e-4)


def test_boxes_found_are_those_of_torchvision_for_the_same_answers(peers):
    ours, peer = peers
    torch.manual_seed(2)
    anchors = ours.anchors(320, 320)
    logits, offsets = 3 * torch.randn(1, len(anchors), 91), torch.randn(1, len(anchors), 4)
    boxes, scores, labels = ours.select(logits, offsets, (320, 320))
    (expected,) = peer.postprocess_detections(
        {"cls_logits": logits, "bbox_regression": offsets}, [anchors], [(320, 320)]
    )
    # The peer keeps the best 300 of each class, we the best 1,000 of all: the first are the same.
    count = 50
    torch.testing.assert_close(scores[0, :count], expected["scores"][:count])
    torch.testing.assert_close(boxes[0, :count], expected["boxes"][:count], rtol=1e-4, atol=1e-3)
    assert torch.equal(labels[0, :count] + 1, expected["labels"][:count])


@pytest.mark.parametrize(("height", "width"), [(320, 320), (200, 330)])
def test_default_boxes_are_those_of_torchvision(height, width):
    ours = SSDLite(backbone="mobilenet_v3_small", width=0.25, first_boxes=6, num_classes=2).eval()
    with torch.no_grad():
        x, maps = torch.zeros(1, 3, height, width), []
        for part in (*ours.backbone, *ours.extra):
            maps.append(x := part(x))
    generator = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    image = torch.zeros(1, 3, height, width)
    (expected,) = generator(ImageList(image, [(height, width)]), maps)
    torch.testing.assert_close(ours.anchors(height, width), expected)


def test_three_boxes_on_the_first_map_are_those_of_the_configuration():
    first, second, *_ = default_kinds(6, 0.2, 0.95, few_first=True)
    assert first == [(0.1, 1.0), (0.2, 2.0), (0.2, 0.5)]
    assert len(second) == 6


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("ssdlite_mobilenet_v3_large", 4.97),
        ("ssdlite_mobilenet_v3_large_half_c4_c5", 3.22),
        ("ssdlite_mobilenet_v3_small", 2.49),
        ("ssdlite_mobilenet_v3_small_half_c4_c5", 1.77),
        ("ssdlite_mobilenet_v2_w0.35", 0.93),
        ("ssdlite_mobilenet_v2_w0.5", 1.54),
    ],
)
def test_without_scales_and_shifts_of_normalisation_the_printed_counts_hold(name, printed):
    model = build_on_shapes(name)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    params = sum(p.numel() for p in model.parameters())
    params -= sum(p.numel() for m in norms for p in m.parameters())
    assert round(params / 1e6, 2) == printed


@pytest.mark.slow
def test_two_pictures_are_learned_by_heart():
    torch.manual_seed(0)
    model = SSDLite(
        backbone="mobilenet_v3_small", width=0.25, num_classes=2, min_scale=0.3, first_boxes=6
    )
    images = torch.randn(2, 3, 64, 64)
    targets = [
        {"boxes": torch.tensor([[8.0, 10, 34, 40]]), "labels": torch.tensor([1])},
        {
            "boxes": torch.tensor([[30.0, 20, 60, 62], [4, 4, 24, 30]]),
            "labels": torch.tensor([0, 1]),
        },
    ]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.3  # so that few steps settle the statistics
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.losses(images, targets).values()).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        boxes, scores, labels = model.detect(images)
    for place, target in enumerate(targets):
        found = scores[place] > 0.5
        assert sorted(labels[place][found].tolist()) == sorted(target["labels"].tolist())
        for box, label in zip(target["boxes"], target["labels"], strict=True):
            own = boxes[place][found & (labels[place] == label)]
            assert box_iou(own, box[None]).max() > 0.6


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (95, 96)])
def test_places_and_default_boxes_agree_at_every_size(size):
    model = SSDLite.tiny()[0].eval()
    with torch.no_grad():
        logits, offsets = model(torch.zeros(1, 3, *size))
    assert logits.shape[1] == offsets.shape[1] == len(model.anchors(*size))


def test_what_cannot_be_built_is_said():
    with pytest.raises(
        UsageError, match="backbone must be a network with stages, got linear_classifier"
    ):
        SSDLite(backbone="linear_classifier")
    with pytest.raises(UsageError, match="min_scale and max_scale must be from 0 to 1"):
        SSDLite(min_scale=0.9, max_scale=0.3)
    with pytest.raises(UsageError, match="no option 'halved'"):
        SSDLite(halved=True)
