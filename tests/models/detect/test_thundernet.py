"""ThunderNet: counts of the sheet, proposals against a plain loop, regions, and learning."""

import pytest
import torch
from torchvision.ops import box_iou

from convatlas.atlas.index import read_index
from convatlas.errors import UsageError
from convatlas.models.detect import thundernet_parts as parts
from convatlas.models.detect.assign_boxes import decode_boxes
from convatlas.models.detect.thundernet import ThunderNet
from convatlas.models.detect.thundernet_losses import draw_regions
from convatlas.ops.position_sensitive import position_sensitive_align

# Parameters and multiply-adds in M at 320 pixels and 200 proposals, of another build.
COUNTS = {
    "thundernet_snet49": (1_153_734, 263.5),
    "thundernet_snet146": (1_879_782, 505.1),
    "thundernet_snet535": (4_666_390, 1308.5),
}
PUBLISHED = parts.place_anchors([32, 64, 128, 256, 512])  # sides in pixels, at 320 pixels


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference(name):
    entry = read_index()[name]
    assert (entry.params, round(entry.macs / 1e6, 1)) == COUNTS[name]


def tiny(**options) -> ThunderNet:
    torch.manual_seed(0)
    given = {"width": 0.25, "num_classes": 3, "proposals": 12, "candidates": 50} | options
    return ThunderNet(**given).eval()


def test_anchors_stand_in_the_middle_of_their_places():
    anchors = parts.anchors_of(torch.zeros(1, 1, 3, 4), PUBLISHED)
    assert anchors.shape == (3 * 4 * 25, 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    place = (1 * 4 + 2) * 25  # second row, third column
    assert (centres[place : place + 25] - torch.tensor([40.0, 24])).abs().max() <= 0.5
    width, height = (anchors[:25, 2:] - anchors[:25, :2]).T
    ratios = (height / width).view(5, 5)
    expected = torch.tensor([0.5, 0.75, 1, 4 / 3, 2])
    assert (ratios / expected[:, None] - 1).abs().max() < 0.06  # whole pixels
    sides = (height * width).sqrt().view(5, 5)
    assert (sides / torch.tensor([32.0, 64, 128, 256, 512]) - 1).abs().max() < 0.02


def test_proposals_are_those_of_a_plain_loop_and_always_as_many():
    generator = torch.Generator().manual_seed(1)
    images = torch.zeros(1, 3, 64, 96)
    anchors = parts.anchors_of(torch.zeros(1, 1, 4, 6), PUBLISHED)
    logits = torch.randn(1, len(anchors), 2, generator=generator)
    offsets = 0.2 * torch.randn(1, len(anchors), 4, generator=generator)
    found = parts.propose(logits, offsets, anchors, images, candidates=300, count=120)[0]
    boxes = decode_boxes(offsets, anchors[None], parts.PLAIN)[0]
    limit = torch.tensor([96.0, 64, 96, 64])
    boxes = boxes.clamp(min=0).minimum(limit)
    scores = logits[0].softmax(1)[:, 1]
    order = scores.argsort(descending=True)[:300]
    flat = (boxes[:, 2:] == boxes[:, :2]).any(1)
    assert flat[order].any()  # outside the image: last, whatever they score
    kept, covered = [], []
    for i in order[~flat[order]].tolist():
        free = not kept or box_iou(boxes[i : i + 1], boxes[kept]).max() <= 0.7
        (kept if free else covered).append(i)
    assert 0 < len(kept) < 120  # so that the best covered ones follow
    torch.testing.assert_close(found, boxes[(kept + covered)[:120]])


def test_regions_are_read_in_the_same_way_where_a_program_is_exported():
    x = torch.randn(2, 2 * 49, 6, 8)
    regions = torch.tensor([[5.0, 6, 90, 80], [-9, 20, 140, 60], [30, 30, 31, 30.5]])
    images = torch.tensor([0.0, 1, 1])
    expected = parts.read_regions(x, regions, images)
    picked = position_sensitive_align(x, regions, images, scale=1 / 16, bins=7).flatten(1)
    torch.testing.assert_close(picked, expected, rtol=1e-4, atol=1e-4)


def test_context_is_two_scales_and_the_whole_image():
    module = parts.ContextEnhancement(3, 5, 4)
    fine, coarse = torch.randn(1, 3, 5, 7), torch.randn(1, 5, 3, 4)
    whole = module.whole(coarse.mean((2, 3), keepdim=True))
    got = module(fine, coarse)
    at = module.fine(fine)[0, :, 4, 6] + module.coarse(coarse)[0, :, 2, 3] + whole[0, :, 0, 0]
    torch.testing.assert_close(got[0, :, 4, 6], at)


def test_objects_own_boxes_are_among_the_regions_with_their_classes():
    target = {"boxes": torch.tensor([[10.0, 10, 40, 50]]), "labels": torch.tensor([2])}
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    found = torch.tensor([[[0.0, 0, 5, 5], [11, 11, 40, 50]], [[0, 0, 9, 9], [20, 20, 60, 60]]])
    drawn = draw_regions(found, [target, none])
    assert drawn.images.tolist() == [0, 0, 0, 1, 1]
    assert drawn.classes.tolist() == [0, 3, 3, 0, 0]
    moved = decode_boxes(drawn.codes[None], drawn.regions[None], (10.0, 10.0, 5.0, 5.0))[0]
    torch.testing.assert_close(moved[1:3], target["boxes"].expand(2, 4))


def test_boxes_are_within_the_image_and_best_first():
    model = tiny(score_threshold=0.0, max_detections=15)
    with torch.no_grad():
        boxes, scores, labels = model.detect(torch.rand(2, 3, 64, 80))
    assert (boxes.shape, scores.shape, labels.shape) == ((2, 15, 4), (2, 15), (2, 15))
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    assert boxes.min() >= 0
    assert (boxes.amax((0, 1)) <= torch.tensor([80.0, 64, 80, 64])).all()
    assert labels.max() < 3


def test_anchors_are_those_of_the_image_and_of_the_scales():
    torch.testing.assert_close(tiny().place_anchors, PUBLISHED)
    model = tiny(image_size=(48, 192), min_scale=0.125, max_scale=0.5)
    square = model.place_anchors[2 * 5 : 3 * 5]  # of the ratio 1, which is the third
    sides = torch.tensor([12, 12 * 2**0.5, 24, 24 * 2**0.5, 48])
    assert (square[:, 2] - square[:, 0] - sides).abs().max() <= 1  # whole pixels
    with pytest.raises(UsageError, match=r"the lower one first, got 0\.5 and 0\.2"):
        tiny(min_scale=0.5, max_scale=0.2)


def test_in_a_small_image_all_anchors_are_looked_at():
    model = tiny(image_size=(32, 64), proposals=200, candidates=1000)
    assert (model.min_size, model.candidates, model.proposals) == (17, 100, 100)
    with torch.no_grad():
        *_, found, logits, _ = model(torch.rand(1, 3, 32, 32))
    assert (logits.shape, found.shape) == ((1, 100, 4), (1, 100, 4))


def test_one_run_gives_losses_and_boxes():
    model, images = tiny(score_threshold=0.0), torch.rand(1, 3, 64, 64)
    target = {"boxes": torch.tensor([[10.0, 10, 40, 50]]), "labels": torch.tensor([2])}
    with torch.no_grad():
        torch.manual_seed(1)  # regions are drawn by chance
        losses, found = model.judge(images, [target])
        torch.manual_seed(1)
        assert losses == model.losses(images, [target])
        assert all(map(torch.equal, found, model.detect(images)))


def test_an_image_too_small_for_its_proposals_is_refused():
    model = tiny(proposals=200, candidates=1000)
    assert model.min_size == 97  # 7 x 7 places with 25 anchors each
    with pytest.raises(ValueError, match="h and w from 97 pixels up"):
        model(torch.rand(1, 3, 96, 97))
    assert model(torch.rand(1, 3, 97, 97))[2].shape == (1, 200, 4)


def test_losses_of_images_without_objects_are_finite_and_move_no_box():
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = tiny().train().losses(torch.rand(2, 3, 64, 64), [none, none])
    assert losses["boxes"] == losses["proposal_boxes"] == 0
    assert losses["classification"] > 0
    assert losses["proposals"] > 0


@pytest.mark.slow
def test_objects_are_learned_by_heart(boxes_learned_by_heart):
    torch.manual_seed(0)
    model = tiny(proposals=40, candidates=200, score_threshold=0.1)
    boxes_learned_by_heart(model, size=128, steps=100, rate=5e-3)
