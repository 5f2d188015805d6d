"""Losses and answers of one-stage detectors against torchvision's SSD and RetinaNet."""

import pytest
import torch
from torch import nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.models.detection.ssd import SSD

from convatlas.models.detect.detector import OneStage
from convatlas.models.detect.select_boxes import select_boxes, take_best

CLASSES, SIDE = 3, 64


class Grid(OneStage):
    """Anchors of two sizes on a grid, and answers that the test lays down."""

    def __init__(self, answers, **options):
        super().__init__(num_classes=CLASSES, in_channels=3, **options)
        self.answers = answers

    def forward(self, images):
        return self.answers

    def anchors(self, height, width):
        y, x = torch.meshgrid(torch.arange(4, height, 8), torch.arange(4, width, 8), indexing="ij")
        centres = torch.stack((x, y, x, y), -1).flatten(0, 1).float()
        half = torch.tensor([[-1.0, -1, 1, 1]])
        return torch.cat([centres + half * side / 2 for side in (12, 27)])


def answers(outputs, seed=0, images=3):
    generator = torch.Generator().manual_seed(seed)
    places = len(Grid(None, loss="focal").anchors(SIDE, SIDE))
    logits = torch.randn(images, places, outputs, generator=generator)
    return logits, 0.5 * torch.randn(images, places, 4, generator=generator)


def targets():
    return [
        {
            "boxes": torch.tensor([[3.0, 2, 20, 25], [30, 30, 60, 58], [5, 40, 12, 47]]),
            "labels": torch.tensor([2, 0, 1]),
        },
        {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": torch.tensor([[8.0, 8, 34, 35]]), "labels": torch.tensor([1])},
    ]


def peer_ssd():
    boxes = DefaultBoxGenerator([[2]], scales=[0.2, 0.5])
    body = nn.Conv2d(3, 4, 1)
    return SSD(
        body,
        boxes,
        (SIDE, SIDE),
        CLASSES + 1,
        head=nn.Identity(),
        score_thresh=0.1,
        nms_thresh=0.4,
        detections_per_img=50,
    )


def peer_retinanet():
    body = nn.Conv2d(3, 4, 1)
    body.out_channels = 4
    return RetinaNet(body, CLASSES, score_thresh=0.3, nms_thresh=0.4, detections_per_img=50)


def peer_matches(peer, anchors, wanted):
    from torchvision.ops import box_iou

    none = torch.full((len(anchors),), -1)
    return [
        peer.proposal_matcher(box_iou(t["boxes"], anchors)) if len(t["boxes"]) else none
        for t in wanted
    ]


def test_softmax_losses_are_those_of_torchvisions_ssd():
    logits, offsets = answers(CLASSES + 1)
    ours = Grid((logits, offsets), loss="softmax", code_weights=(10, 10, 5, 5), min_negatives=0)
    anchors, peer = ours.anchors(SIDE, SIDE), peer_ssd()
    labels_from_1 = [{**t, "labels": t["labels"] + 1} for t in targets()]
    expected = peer.compute_loss(
        labels_from_1,
        {"bbox_regression": offsets, "cls_logits": logits},
        [anchors] * 3,
        peer_matches(peer, anchors, targets()),
    )
    got = ours.losses(torch.zeros(3, 3, SIDE, SIDE), targets())
    torch.testing.assert_close(got["classification"], expected["classification"])
    torch.testing.assert_close(got["boxes"], expected["bbox_regression"])


def test_focal_losses_are_those_of_torchvisions_retinanet():
    logits, offsets = answers(CLASSES)
    ours = Grid((logits, offsets), loss="focal")
    anchors = ours.anchors(SIDE, SIDE)
    expected = peer_retinanet().compute_loss(
        targets(), {"bbox_regression": offsets, "cls_logits": logits}, [anchors] * 3
    )
    got = ours.losses(torch.zeros(3, 3, SIDE, SIDE), targets())
    torch.testing.assert_close(got["classification"], expected["classification"])
    torch.testing.assert_close(got["boxes"], expected["bbox_regression"])


def test_an_image_without_objects_counts_its_hardest_backgrounds_only_where_asked():
    logits, offsets = answers(CLASSES + 1, images=1)
    empty = [targets()[1]]
    images = torch.zeros(1, 3, SIDE, SIDE)
    none = Grid((logits, offsets), loss="softmax", min_negatives=0).losses(images, empty)
    some = Grid((logits, offsets), loss="softmax", min_negatives=3).losses(images, empty)
    surprise = -logits[0].log_softmax(-1)[:, 0]
    assert none["classification"] == 0
    torch.testing.assert_close(some["classification"], surprise.topk(3).values.sum())
    assert none["boxes"] == some["boxes"] == 0


@pytest.mark.parametrize("loss", ["softmax", "focal"])
def test_boxes_found_are_those_of_torchvision(loss):
    softmax = loss == "softmax"
    logits, offsets = answers(CLASSES + softmax)
    ours = Grid(
        (logits, offsets),
        loss=loss,
        code_weights=(10, 10, 5, 5) if softmax else (1, 1, 1, 1),
        score_threshold=0.1 if softmax else 0.3,
        iou_threshold=0.4,
        max_detections=50,
    )
    anchors, sizes = ours.anchors(SIDE, SIDE), [(SIDE, SIDE)] * 3
    if softmax:
        raw = {"bbox_regression": offsets, "cls_logits": logits}
        expected = peer_ssd().postprocess_detections(raw, [anchors] * 3, sizes)
    else:
        raw = {"bbox_regression": [offsets], "cls_logits": [logits]}
        expected = peer_retinanet().postprocess_detections(raw, [[anchors]] * 3, sizes)
    boxes, scores, labels = ours.detect(torch.zeros(3, 3, SIDE, SIDE))
    for place, peer in enumerate(expected):
        count = len(peer["scores"])
        assert 0 < count <= 50
        torch.testing.assert_close(scores[place, :count], peer["scores"])
        torch.testing.assert_close(boxes[place, :count], peer["boxes"], rtol=1e-4, atol=1e-4)
        assert torch.equal(labels[place, :count] + softmax, peer["labels"])
        assert not scores[place, count:].any()
        assert not boxes[place, count:].any()


def test_suppression_is_that_of_a_slow_plain_loop():
    generator = torch.Generator().manual_seed(3)
    corner = 60 * torch.rand(2, 40, 2, generator=generator)
    boxes = torch.cat((corner, corner + 5 + 30 * torch.rand(2, 40, 2, generator=generator)), -1)
    scores = torch.rand(2, 40, generator=generator)
    labels = torch.randint(0, 2, (2, 40), generator=generator)
    found, score, label = select_boxes(
        boxes, scores, labels, (80, 70), score_threshold=0.2, iou_threshold=0.3, max_detections=60
    )
    assert found.shape == (2, 60, 4)
    for n in range(2):
        plain = []
        for i in scores[n].argsort(descending=True).tolist():
            x1, y1, x2, y2 = boxes[n, i].tolist()
            box = (min(x1, 70), min(y1, 80), min(x2, 70), min(y2, 80))
            same = [kept for kept, _, other in plain if other == labels[n, i]]
            if scores[n, i] > 0.2 and all(overlap(box, kept) <= 0.3 for kept in same):
                plain.append((box, scores[n, i], labels[n, i]))
        assert len(plain) == (score[n] > 0).sum()
        for k, (box, value, kind) in enumerate(plain):
            torch.testing.assert_close(found[n, k], torch.tensor(box))
            assert (score[n, k], label[n, k]) == (value, kind)


def overlap(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both + 1e-12)


def test_the_best_places_come_with_their_classes():
    scores = torch.tensor([[[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]]])
    best, places, labels = take_best(scores, 3)
    torch.testing.assert_close(best, torch.tensor([[0.9, 0.8, 0.4]]))
    assert places.tolist() == [[0, 1, 2]]
    assert labels.tolist() == [[1, 0, 1]]


def test_an_answer_that_is_no_number_does_not_pass_for_no_box():
    logits, offsets = answers(CLASSES)
    logits[1, 5, 0] = torch.nan
    scores = Grid((logits, offsets), loss="focal").detect(torch.zeros(3, 3, SIDE, SIDE))[1]
    assert scores[1].isnan().all()
    assert scores[0].isfinite().all()


def test_targets_of_another_form_are_refused():
    ours = Grid(answers(CLASSES), loss="focal")
    images = torch.zeros(3, 3, SIDE, SIDE)
    with pytest.raises(ValueError, match="must be given a target an image, got 1/3"):
        ours.losses(images, targets()[:1])
    wrong = [{**t, "labels": t["labels"].float()} for t in targets()]
    with pytest.raises(ValueError, match=r"boxes \(k, 4\) and int64 labels"):
        ours.losses(images, wrong)


def test_gradients_reach_every_answer_that_counts():
    logits, offsets = (x.requires_grad_() for x in answers(CLASSES))
    losses = Grid((logits, offsets), loss="focal").losses(torch.zeros(3, 3, SIDE, SIDE), targets())
    sum(losses.values()).backward()
    assert logits.grad.abs().sum() > 0
    assert offsets.grad[1].abs().sum() == 0  # the image without objects has no box to move
    assert offsets.grad[0].abs().sum() > 0


@pytest.mark.parametrize("loss", ["softmax", "focal"])
def test_one_run_gives_losses_and_boxes(loss):
    given = answers(CLASSES + (loss == "softmax"))
    network, images = Grid(given, loss=loss), torch.zeros(3, 3, SIDE, SIDE)
    terms, found = network.judge(images, targets())
    assert terms == network.losses(images, targets())
    for ours, alone in zip(found, network.detect(images), strict=True):
        assert torch.equal(ours, alone)
