"""YOLOv3's priors, boxes and losses against plain loops."""

import math

import pytest
import torch
from torchvision.ops import box_iou

from convatlas.errors import UsageError
from convatlas.models.detect.yolo_detector import (
    PRIORS,
    PUBLISHED,
    Scales,
    YoloDetector,
    fit_priors,
)
from convatlas.models.detect.yolo_losses import assign_priors, box_of, yolo_losses

CLASSES = 3
GRIDS = ((8, 12), (4, 6), (2, 3))  # rows and columns: images of 64 x 96 pixels


class Laid(YoloDetector):
    """Answers that the test lays down."""

    def __init__(self, answers, **options):
        given = {"min_scale": PUBLISHED.low, "max_scale": PUBLISHED.high, "box_loss": "mse"}
        given |= {"image_size": 416, "priors": PRIORS, "score_threshold": 0.01} | options
        super().__init__(num_classes=CLASSES, in_channels=3, **given)
        self.answers = answers

    def maps(self, images):
        return self.answers


def answers(images: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(images, 3 * (5 + CLASSES), *grid) for grid in GRIDS]
    return [torch.randn(*shape, generator=generator) for shape in shapes]


IMAGES = torch.zeros(2, 3, 64, 96)


def test_priors_are_published_ones_as_shares_of_the_image():
    expected = torch.tensor(PRIORS, dtype=torch.float32)
    torch.testing.assert_close(fit_priors(PRIORS, 416, PUBLISHED), expected)
    torch.testing.assert_close(fit_priors(PRIORS, 208, PUBLISHED), expected / 2)
    fitted = fit_priors(PRIORS, 100, Scales(0.1, 0.4))
    sides = fitted.prod(2).sqrt()
    assert (sides.min().item(), sides.max().item()) == pytest.approx((10, 40))
    torch.testing.assert_close(fitted[..., 0] / fitted[..., 1], expected[..., 0] / expected[..., 1])
    with pytest.raises(UsageError, match=r"the lower one first, got 0\.5 and 0\.2"):
        Laid([], min_scale=0.5, max_scale=0.2)


def boxes_one_by_one(maps, priors):
    """Boxes, objectness and classes of each image, place by place, as the paper's figure 2."""
    found = []
    for n in range(len(IMAGES)):
        rows = []
        for x, own in zip(maps, priors, strict=True):
            height, width = x.shape[2:]
            for i in range(height):
                for j in range(width):
                    for a in range(3):
                        v = x[n, a * (5 + CLASSES) : (a + 1) * (5 + CLASSES), i, j].tolist()
                        cx = (j + 1 / (1 + math.exp(-v[0]))) * 96 / width
                        cy = (i + 1 / (1 + math.exp(-v[1]))) * 64 / height
                        w, h = (float(own[a, k]) * math.exp(v[2 + k]) for k in (0, 1))
                        box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                        rows.append(box + [1 / (1 + math.exp(-t)) for t in v[4:]])
        found.append(rows)
    return torch.tensor(found)


def test_boxes_are_those_of_the_papers_equations():
    model = Laid(answers())
    expected = boxes_one_by_one(model.answers, model.priors)
    offsets, logits = model(IMAGES)
    boxes = box_of(offsets, model.places(model.answers, IMAGES))
    torch.testing.assert_close(boxes, expected[..., :4], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(logits.sigmoid(), expected[..., 4:], rtol=1e-4, atol=1e-5)


def test_detections_are_best_first_within_the_image_with_the_product_of_both_scores():
    model = Laid(answers(), candidates=500)
    with torch.no_grad():
        boxes, scores, labels = model.detect(IMAGES)
    each = boxes_one_by_one(model.answers, model.priors)
    best = (each[..., 4:5] * each[..., 5:]).flatten(1).max(1)
    torch.testing.assert_close(scores[:, 0], best.values)
    assert torch.equal(labels[:, 0], best.indices % CLASSES)
    assert (scores[:, :-1] >= scores[:, 1:]).all()
    assert (boxes >= 0).all()
    assert (boxes <= torch.tensor([96, 64, 96, 64])).all()


def test_an_answer_that_is_not_finite_is_no_score():
    maps = answers()
    maps[1][0, 3, 1, 1] = torch.nan
    scores = Laid(maps).detect(IMAGES)[1]
    assert scores[0].isnan().all()
    assert scores[1].isfinite().all()


TARGETS = [
    {
        "boxes": torch.tensor([[10.0, 8, 40, 50], [60, 20, 72, 29], [0, 0, 96, 64]]),
        "labels": torch.tensor([2, 0, 1]),
    },
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
]


def test_each_object_has_the_prior_of_its_shape_at_the_cell_of_its_centre():
    model = Laid(answers())
    taught = assign_priors(model.places(model.answers, IMAGES), TARGETS)
    flat = [(level, a) for level in range(3) for a in range(3)]
    expected = []
    for x1, y1, x2, y2 in TARGETS[0]["boxes"].tolist():
        w, h = x2 - x1, y2 - y1
        overlaps = []
        for level, a in flat:
            pw, ph = model.priors[level, a].tolist()
            both = min(w, pw) * min(h, ph)
            overlaps.append(both / (w * h + pw * ph - both))
        level, a = flat[overlaps.index(max(overlaps))]
        rows, columns = GRIDS[level]
        i, j = int((y1 + y2) / 2 / 64 * rows), int((x1 + x2) / 2 / 96 * columns)
        before = 3 * sum(r * c for r, c in GRIDS[:level])
        expected.append(before + (i * columns + j) * 3 + a)
    assert taught.places.tolist() == expected
    assert taught.images.tolist() == [0, 0, 0]
    assert taught.labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize("kind", ["mse", "giou"])
def test_losses_are_those_of_a_plain_loop(kind):
    model = Laid(answers(), box_loss=kind)
    places = model.places(model.answers, IMAGES)
    offsets, _ = model(IMAGES)
    got = model.losses(IMAGES, TARGETS)
    taught = assign_priors(places, TARGETS)
    own = {(n, p): k for k, (n, p) in enumerate(zip(taught.images, taught.places, strict=True))}
    own = {(int(n), int(p)): k for (n, p), k in own.items()}
    found = boxes_one_by_one(model.answers, model.priors)
    objectness = classification = boxes = 0.0
    for n in range(2):
        truth = TARGETS[n]["boxes"]
        for p in range(offsets.shape[1]):
            probability = found[n, p, 4].item()
            box = found[n, p, :4]
            if (n, p) not in own:
                if not len(truth) or box_iou(box[None], truth).max() <= 0.7:
                    objectness -= math.log(1 - probability)
                continue
            k = own[n, p]
            objectness -= math.log(probability)
            for c in range(CLASSES):
                q = found[n, p, 5 + c].item()
                classification -= math.log(q if c == taught.labels[k] else 1 - q)
            x1, y1, x2, y2 = truth[k].tolist()
            if kind == "giou":
                a, b = box.tolist(), (x1, y1, x2, y2)
                inter = max(0, min(a[2], b[2]) - max(a[0], b[0]))
                inter *= max(0, min(a[3], b[3]) - max(a[1], b[1]))
                union = (a[2] - a[0]) * (a[3] - a[1]) + (x2 - x1) * (y2 - y1) - inter
                hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
                boxes += 1 - (inter / union - (hull - union) / hull)
                continue
            weight = 2 - (x2 - x1) / 96 * (y2 - y1) / 64
            step, cell, prior = places.steps[p], places.cells[p], places.priors[p]
            for axis, (low, high) in enumerate(((x1, x2), (y1, y2))):
                within = (low + high) / 2 / step[axis].item() - cell[axis].item()
                s = 1 / (1 + math.exp(-offsets[n, p, axis].item()))
                boxes -= weight * (within * math.log(s) + (1 - within) * math.log(1 - s))
                wanted = math.log((high - low) / prior[axis].item())
                boxes += weight * (offsets[n, p, 2 + axis].item() - wanted) ** 2 / 2
    expected = {"objectness": objectness, "classification": classification, "boxes": boxes}
    assert {key: value.item() for key, value in got.items()} == pytest.approx(
        {key: value / 3 for key, value in expected.items()}, rel=1e-4
    )


def test_one_run_gives_losses_and_boxes():
    model = Laid(answers())
    losses, found = model.judge(IMAGES, TARGETS)
    assert losses == model.losses(IMAGES, TARGETS)
    assert all(map(torch.equal, found, model.detect(IMAGES)))


def test_images_without_objects_teach_the_objectness_alone():
    model = Laid(answers())
    offsets, logits = model(IMAGES)
    places = model.places(model.answers, IMAGES)
    losses = yolo_losses(offsets, logits, places, [TARGETS[1]] * 2, "giou")
    assert losses["boxes"] == losses["classification"] == 0
    assert losses["objectness"] > 0


def test_targets_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="Laid: must be given a target an image, got 1/2"):
        Laid(answers()).losses(IMAGES, TARGETS[:1])
