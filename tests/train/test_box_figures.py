"""Average precision beside a second library, the one that COCO's authors wrote."""

import contextlib
import io

import pytest
import torch

from convatlas.train.box_figures import box_figures

CLASSES, IMAGES, SIDE = 4, 12, 100.0


def boxes(count, random):
    corner = torch.rand(count, 2, generator=random) * SIDE
    sides = 2 + torch.rand(count, 2, generator=random) * SIDE / 2
    return torch.cat([corner, corner + sides], dim=1)


def made(seed):
    """True boxes, crowds, and answers: some near the truth, some doubled, some anywhere."""
    random = torch.Generator().manual_seed(seed)
    truth, crowds, found = [], [], []
    for _ in range(IMAGES):
        count = int(torch.randint(0, 5, (), generator=random))
        # The last class has no true box: it must not count.
        labels = torch.randint(0, CLASSES - 1, (count,), generator=random)
        true = boxes(count, random)
        truth.append((true, labels))
        crowds.append((boxes(1, random), torch.randint(0, CLASSES - 1, (1,), generator=random)))
        near = true.repeat(2, 1) + 4 * torch.randn(2 * count, 4, generator=random)
        answers = torch.cat([near, boxes(3, random)])
        kinds = torch.cat([labels.repeat(2), torch.randint(0, CLASSES, (3,), generator=random)])
        found.append((answers, torch.rand(len(answers), generator=random), kinds))
    return found, truth, crowds


def by_pycocotools(found, truth, crowds):
    """The same through the other library. Shape: overlaps, recalls, classes"""
    coco = pytest.importorskip("pycocotools.coco")
    judge_of = pytest.importorskip("pycocotools.cocoeval").COCOeval

    def row(image, box, label, **more):
        x, y, right, bottom = box.double().tolist()
        sides = [right - x, bottom - y]
        return {"image_id": image, "category_id": label, "bbox": [x, y, *sides], **more}

    annotations = [
        row(image, box, label, iscrowd=crowd, area=float((box[2] - box[0]) * (box[3] - box[1])))
        for crowd, rows in enumerate((truth, crowds))
        for image, (places, labels) in enumerate(rows)
        for box, label in zip(places, labels.tolist(), strict=True)
    ]
    results = [
        row(image, box, label, score=score)
        for image, (places, scores, labels) in enumerate(found)
        for box, score, label in zip(places, scores.tolist(), labels.tolist(), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        known = coco.COCO()
        known.dataset = {
            "images": [{"id": image} for image in range(IMAGES)],
            "categories": [{"id": label, "name": str(label)} for label in range(CLASSES)],
            "annotations": [each | {"id": i} for i, each in enumerate(annotations, start=1)],
        }
        known.createIndex()
        judge = judge_of(known, known.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    return torch.as_tensor(judge.eval["precision"])[:, :, :, 0, -1]


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_a_second_library(seed):
    pytest.importorskip("faster_coco_eval")
    found, truth, crowds = made(seed)
    ours = box_figures(found, truth, CLASSES, crowds)
    theirs = by_pycocotools(found, truth, crowds)
    held = theirs[0, 0] >= 0
    assert held.tolist() == (~ours.by_class.isnan()).tolist() == [True] * 3 + [False]
    torch.testing.assert_close(ours.by_class.double()[held], theirs.mean((0, 1))[held])
    torch.testing.assert_close(ours.by_class_50.double()[held], theirs[0].mean(0)[held])
    assert 0.05 < ours.figures()["map_50"] < 0.95
