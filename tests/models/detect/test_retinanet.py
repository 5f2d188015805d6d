"""RetinaNet against torchvision's with the same weights; its pyramid and anchors by themselves."""

import math

import pytest
import torch
from torch import nn
from torchvision.models import detection

from convatlas.blocks import FeaturePyramid
from convatlas.models.detect.pyramid_anchors import octaves, pyramid_anchors
from convatlas.models.detect.retinanet import RetinaNet
from convatlas.models.detect.retinanet_head import RetinaNetHead

CLASSES = 4
FORMS = {
    "retinanet_resnet50_fpn": {},
    "retinanet_resnet50_fpn_v2": {"coarser": "of_input", "norm": "group"},
}


def weights_in_order(model: nn.Module) -> list[torch.Tensor]:
    """Parameters and statistics; those of the backbone in the order of a run."""
    return [t for t in model.state_dict().values() if t.dtype.is_floating_point]


def copy_weights(ours: RetinaNet, peer: nn.Module) -> None:
    """Fill ours from torchvision's, part by part: inside each both have the same order."""
    bottoms = [m for m in peer.backbone.body.modules() if type(m).__name__ == "Bottleneck"]
    units = [m for m in ours.backbone.modules() if type(m).__name__ == "Bottleneck"]
    stem = nn.ModuleList([peer.backbone.body["conv1"], peer.backbone.body["bn1"]])
    pairs = [(ours.backbone.stages[0], stem)]
    for unit, bottom in zip(units, bottoms, strict=True):
        main = [getattr(bottom, f"{kind}{i}") for i in (1, 2, 3) for kind in ("conv", "bn")]
        pairs.append((unit.residue, nn.ModuleList(main)))
        if bottom.downsample is not None:
            pairs.append((unit.shortcut, bottom.downsample))
    pyramid = peer.backbone.fpn
    pairs += [
        (ours.pyramid.lateral, pyramid.inner_blocks),
        (ours.pyramid.smooth, pyramid.layer_blocks),
        (ours.pyramid.further, pyramid.extra_blocks),
    ]
    for tower, head, last in (
        (ours.head.classes, peer.head.classification_head, "cls_logits"),
        (ours.head.boxes, peer.head.regression_head, "bbox_reg"),
    ):
        pairs.append((tower.convs, nn.ModuleList(block[0] for block in head.conv)))
        norms = [m for m in head.conv.modules() if isinstance(m, nn.GroupNorm)]
        pairs.append((tower.norms, nn.ModuleList(norms)))
        pairs.append((tower.last, getattr(head, last)))
    filled = 0
    with torch.no_grad():
        for mine, theirs in pairs:
            for a, b in zip(weights_in_order(mine), weights_in_order(theirs), strict=True):
                a.copy_(b)
                filled += 1
    assert filled == len(weights_in_order(ours)) == len(weights_in_order(peer))


@pytest.fixture(scope="module", params=FORMS)
def pair(request):
    torch.manual_seed(0)
    peer = getattr(detection, request.param)(
        weights=None, weights_backbone=None, num_classes=CLASSES
    ).eval()
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
    ours = RetinaNet(num_classes=CLASSES, **FORMS[request.param]).eval()
    copy_weights(ours, peer)
    return ours, peer


def test_answers_and_anchors_are_those_of_torchvision(pair):
    ours, peer = pair
    size = (128, 256)  # multiples of 128, where torchvision's strides are whole
    images = torch.rand(1, 3, *size)
    with torch.no_grad():
        maps = list(peer.backbone(images).values())
        expected = peer.head(maps)
        logits, offsets = ours(images)
    for got, key in ((logits, "cls_logits"), (offsets, "bbox_regression")):
        scale = expected[key].abs().max()
        torch.testing.assert_close(got / scale, expected[key] / scale, atol=1e-5, rtol=0)
    listed = detection.image_list.ImageList(images, [size])
    torch.testing.assert_close(ours.anchors(*size), peer.anchor_generator(listed, maps)[0])


def test_each_map_has_norms_of_its_own_behind_convolutions_that_all_share():
    torch.manual_seed(0)
    head = RetinaNetHead(8, 3, 9, depth=2, maps=2, norm="batch").train()
    maps = [torch.randn(2, 8, 6, 4), 5 + 3 * torch.randn(2, 8, 3, 2)]
    logits, offsets = head(maps)
    assert logits.shape == (2, 9 * (24 + 6), 3)
    assert offsets.shape == (2, 9 * (24 + 6), 4)
    first, second = head.classes.norms[0]
    mean = head.classes.convs[0](maps[1]).mean((0, 2, 3))
    torch.testing.assert_close(second.running_mean, 0.1 * mean)
    other, _ = head([maps[0], torch.zeros(2, 8, 3, 2)])
    torch.testing.assert_close(other[:, : 9 * 24], logits[:, : 9 * 24])
    assert not torch.equal(first.running_mean, second.running_mean)


def test_every_place_begins_with_a_chance_of_one_in_a_hundred():
    head = RetinaNetHead(8, 3, 9)
    logits, _ = head([torch.zeros(1, 8, 2, 2)] * 5)
    torch.testing.assert_close(logits.sigmoid(), torch.full_like(logits, 0.01))


def test_answers_of_a_place_stand_in_a_row():
    """The k-th number of anchor a at pixel (y, x) is channel a * numbers + k of the convolution."""
    head = RetinaNetHead(4, 3, 2, depth=0, maps=1)
    x = torch.randn(1, 4, 3, 5)
    logits, _ = head([x])
    raw = head.classes.last(x)
    for y, column, anchor, k in ((0, 0, 0, 0), (2, 4, 1, 2), (1, 3, 1, 0)):
        place = (y * 5 + column) * 2 + anchor
        assert logits[0, place, k] == raw[0, anchor * 3 + k, y, column]


def test_the_original_pyramid_on_resnet50_has_the_published_parameters():
    """Laterals 983,040 and smoothing 2,359,296, with 1,024 biases each."""
    with torch.device("meta"):
        pyramid = FeaturePyramid((256, 512, 1024, 2048), 256, coarser="pool")
    assert sum(p.numel() for p in pyramid.parameters()) == 3_344_384


@pytest.mark.parametrize("coarser", ["none", "pool", "of_input", "of_output"])
def test_the_pyramid_is_that_of_torchvision(coarser):
    from torchvision.ops import feature_pyramid_network as peer

    extra = {
        "none": None,
        "pool": peer.LastLevelMaxPool(),
        "of_input": peer.LastLevelP6P7(12, 5),
        "of_output": peer.LastLevelP6P7(5, 5),
    }[coarser]
    theirs = peer.FeaturePyramidNetwork([3, 7, 12], 5, extra)
    ours = FeaturePyramid((3, 7, 12), 5, coarser=coarser)
    parts = [(ours.lateral, theirs.inner_blocks), (ours.smooth, theirs.layer_blocks)]
    if coarser.startswith("of"):
        parts.append((ours.further, theirs.extra_blocks))
    for mine, other in parts:
        for a, b in zip(mine.parameters(), other.parameters(), strict=True):
            b.data.copy_(torch.randn_like(a))
            a.data.copy_(b)
    maps = [torch.randn(1, c, s, s + 1) for c, s in ((3, 13), (7, 7), (12, 4))]
    expected = theirs({str(i): x for i, x in enumerate(maps)}).values()
    for a, b in zip(ours(maps), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_anchors_of_a_place_have_one_area_and_the_ratios():
    found = pyramid_anchors(32, 64, strides=(16,), sides=((100.0,),), centred=True)
    assert found.shape == (2 * 4 * 3, 4)
    width, height = (found[:, 2:] - found[:, :2]).T
    torch.testing.assert_close(height[:3] / width[:3], torch.tensor([0.5, 1, 2]), atol=0, rtol=0.02)
    assert ((width * height / 100**2).sqrt() - 1).abs().max() < 0.01
    centres = (found[:, 2:] + found[:, :2]) / 2
    assert centres[3 * 5].tolist() == [24, 24]  # second row, second column
    assert octaves(8) == pytest.approx((8, 8 * math.cbrt(2), 8 * math.cbrt(4)))
