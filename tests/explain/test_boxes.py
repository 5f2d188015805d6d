"""Average precision by the library, by our matching and by hand; what is said of boxes."""

import json

import numpy as np
import pytest
import torch

from convatlas.errors import DataError
from convatlas.explain.boxes.draw import MISSED, RIGHT, WRONG, draw_judged
from convatlas.explain.boxes.evaluation import BoxEvaluation
from convatlas.explain.boxes.matching import (
    match_class,
    mean_average_precision,
    taken,
    verdicts,
)
from convatlas.explain.boxes.prediction import BoxPrediction, coco_results, csv_columns
from convatlas.models.detect.found import Found
from convatlas.train.box_figures import box_figures

CLASSES = ("cell", "dot", "ring")


def drawn(images=12, seed=0):
    """True boxes, and boxes that are found near some of them, with wrong ones between."""
    random = torch.Generator().manual_seed(seed)
    truth, found = [], []
    for _ in range(images):
        count = int(torch.randint(0, 6, (1,), generator=random))
        corner = 80 * torch.rand(count, 2, generator=random)
        boxes = torch.cat((corner, corner + 6 + 30 * torch.rand(count, 2, generator=random)), 1)
        labels = torch.randint(0, 2, (count,), generator=random)
        moved = boxes + 3 * torch.randn(count, 4, generator=random)
        moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 1)
        more = 80 * torch.rand(4, 2, generator=random)
        more = torch.cat((more, more + 5 + 30 * torch.rand(4, 2, generator=random)), 1)
        all_boxes = torch.cat((moved, moved + 1, more))
        scores = torch.rand(len(all_boxes), generator=random) + 0.01
        kinds = torch.cat((labels, labels, torch.randint(0, 3, (4,), generator=random)))
        order = scores.argsort(descending=True)
        truth.append((boxes, labels))
        found.append(Found(all_boxes[order], scores[order], kinds[order]))
    return found, truth


def evaluation(seed=0):
    found, truth = drawn(seed=seed)
    return BoxEvaluation([f"{i}.png" for i in range(len(truth))], found, truth, CLASSES)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_lies_in_a_crowd_counts_neither_as_right_nor_as_wrong(seed):
    found, truth = drawn(seed=seed)
    # Every second true box becomes a crowd, somewhat larger.
    grown = torch.tensor([-6.0, -6.0, 6.0, 6.0])
    crowds = [(boxes[::2] + grown, labels[::2]) for boxes, labels in truth]
    rest = [(boxes[1::2], labels[1::2]) for boxes, labels in truth]
    library = box_figures(found, rest, len(CLASSES), crowds)
    plain = box_figures(found, rest, len(CLASSES))
    for k in range(2):
        match = match_class(found, rest, k, crowds)
        assert match.excused.any()
        assert not (match.excused & match.right).any()
        assert match.average_precision().mean() == pytest.approx(float(library.by_class[k]))
        assert library.by_class[k] > plain.by_class[k]
    names = [f"{i}.png" for i in range(len(rest))]
    judged = BoxEvaluation(names, found, rest, CLASSES, ignored=crowds)
    assert judged.figures == library.figures()
    wrong = sum(row[1] for row in judged.misses())
    assert wrong < sum(row[1] for row in BoxEvaluation(names, found, rest, CLASSES).misses())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_average_precision_of_the_library_is_that_of_our_own_matching(seed):
    found, truth = drawn(seed=seed)
    library = box_figures(found, truth, len(CLASSES))
    matches = [match_class(found, truth, k) for k in range(len(CLASSES))]
    for k, match in enumerate(matches):
        values = match.average_precision()
        if k == 2:  # no true box
            assert np.isnan(values).all()
            assert library.by_class[k].isnan()
            continue
        assert float(library.by_class[k]) == pytest.approx(values.mean(), abs=1e-9)
        assert float(library.by_class_50[k]) == pytest.approx(values[0], abs=1e-9)
    figures = library.figures()
    assert 0.05 < figures["map_50_95"] < figures["map_50"] < 0.95
    assert mean_average_precision(matches) == pytest.approx(tuple(figures.values()), abs=1e-9)


def test_average_precision_by_hand():
    """Right, wrong, right of three true boxes: precision 1 to a third, 2/3 to two thirds."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    truth = [(boxes, torch.zeros(3, dtype=torch.int64))]
    spots = torch.tensor([[0.0, 0, 10, 10], [60, 60, 70, 70], [20, 0, 30, 10]])
    found = [Found(spots, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.int64))]
    expected = (34 * 1 + 33 * 2 / 3) / 101
    assert float(box_figures(found, truth, 1).by_class_50[0]) == pytest.approx(expected)
    assert match_class(found, truth, 0).average_precision()[0] == pytest.approx(expected)


def test_the_best_score_has_the_highest_f1_of_all_classes_together_by_hand():
    """At 0.6 both boxes of the first class are kept, the right and a wrong one of the second."""
    place = torch.tensor([0.0, 0, 10, 10])
    spots = torch.stack([place, place + 20, place + 40, place + 60, place + 80])
    labels = torch.tensor([0, 0, 1, 1, 0])
    scores = torch.tensor([0.9, 0.6, 0.7, 0.8, 0.5])
    found = [Found(spots, scores, labels)]
    truth = [(spots[:3], labels[:3])]
    figures = box_figures(found, truth, 3)
    assert figures.best_score == pytest.approx(0.6, abs=1.1e-3)
    assert figures.best_score <= 0.6
    wrong = [(spots[:3] + 5000, labels[:3])]
    assert box_figures(found, wrong, 3).best_score is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_score_is_about_the_one_that_our_own_matching_finds(seed):
    found, truth = drawn(images=40, seed=seed)
    matches = [match_class(found, truth, k) for k in range(2)]  # the third has no true box

    def f1(score):
        kept = [match.scores >= score for match in matches]
        rights = [match.right[0][own].sum() for match, own in zip(matches, kept, strict=True)]
        totals = [m.truths.sum() + own.sum() for m, own in zip(matches, kept, strict=True)]
        return np.mean([2 * right / total for right, total in zip(rights, totals, strict=True)])

    best = max(f1(score) for match in matches for score in match.scores)
    score = box_figures(found, truth, len(CLASSES)).best_score
    assert best - 0.025 < f1(score) <= best
    assert f1(score) > max(f1(0.02), f1(0.9)) + 0.05


def test_images_weighed_twice_count_as_if_they_were_there_twice():
    found, truth = drawn()
    weights = np.array([2.0 if i % 3 == 0 else 0.0 for i in range(len(truth))])
    chosen = [i for i in range(len(truth)) if weights[i]] * 2
    for k in range(2):
        whole = match_class(found, truth, k).average_precision(weights)
        part = match_class([found[i] for i in chosen], [truth[i] for i in chosen], k)
        np.testing.assert_allclose(whole, part.average_precision(), atol=1e-9)


def test_nothing_found_is_zero_and_nothing_true_is_no_number():
    none = Found(torch.zeros(1, 4), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    truth = [(torch.tensor([[0.0, 0, 5, 5]]), torch.tensor([1]))]
    figures = box_figures([none], truth, 2)
    assert figures.by_class.isnan().tolist() == [True, False]
    assert figures.figures() == {"map_50_95": 0.0, "map_50": 0.0}


def test_a_true_box_is_taken_once_and_by_the_best_score():
    overlap = torch.tensor([[0.6, 0.7], [0.9, 0.8], [0.9, 0.1]])
    right, used = taken(overlap, 0.5)
    assert right.tolist() == [True, True, False]
    assert used.tolist() == [True, True]


def test_the_record_holds_the_interval_and_names_what_was_never_found():
    judged = evaluation()
    low, high = judged.interval
    assert low < judged.figures["map_50_95"] < high
    record = judged.record()
    assert record["interval"] == [low, high]
    assert "no true boxes of ring" in " ".join(record["doubts"])
    heads, rows, right = judged.table()
    assert len(rows) == 3
    assert rows[2][1] == "-"
    assert set(right) < set(heads)
    told = judged.to_dict()
    assert json.loads(json.dumps(told)) == told
    missed = sum(row["missed"] for row in told["misses"])
    assert 0 < missed <= sum(len(labels) for _, labels in judged.truth)


def test_verdicts_are_drawn_in_their_colours():
    boxes, labels = torch.tensor([[5.0, 5, 25, 25], [40, 40, 60, 60]]), torch.tensor([0, 1])
    found = Found(
        torch.tensor([[5.0, 5, 25, 25], [40, 5, 60, 25]]),
        torch.tensor([0.9, 0.8]),
        torch.tensor([0, 1]),
    )
    right, seen = verdicts(found, boxes, labels)
    assert (right.tolist(), seen.tolist()) == ([True, False], [True, False])
    image = torch.zeros(3, 80, 80, dtype=torch.uint8)
    picture = draw_judged(image, found, boxes, labels, CLASSES, side=80)
    assert picture.getpixel((5, 15)) == RIGHT
    assert picture.getpixel((40, 20)) == WRONG
    assert picture.getpixel((40, 55)) == MISSED


def test_a_prediction_is_written_as_table_json_coco_and_picture(tmp_path):
    image = torch.zeros(3, 40, 50, dtype=torch.uint8)
    found = Found(
        torch.tensor([[1.0, 2, 30, 20], [3, 3, 9, 9], [0, 0, 0, 0]]),
        torch.tensor([0.9, 0.2, 0.0]),
        torch.tensor([1, 0, 0]),
    )
    answer = BoxPrediction.of("some/cells.png", found, image, CLASSES)
    assert [box["class"] for box in answer.boxes] == ["dot", "cell"]
    assert answer.rows(1) == [("some/cells.png", "dot", "0.90", "1", "2", "30", "20")]
    assert len(answer.cells(2)) == len(csv_columns(2)) == 12
    assert answer.cells(1)[:2] == ["dot", "0.9000"]
    (first, second) = coco_results([answer], CLASSES)
    assert first["bbox"] == [1.0, 2.0, 29.0, 18.0]
    assert (first["category_id"], second["category_id"]) == (2, 1)
    (path,) = answer.save(tmp_path)
    assert path.name == "cells-boxes.png"
    both = BoxPrediction.of("cells.tif[7]", found, image, CLASSES, shown_from=0.15)
    assert [row[1] for row in both.rows(1)] == ["dot", "cell"]
    (page,) = both.save(tmp_path)
    assert page.name == "cells-0007-boxes.png"  # page 8 does not take its place
    assert page.read_bytes() != path.read_bytes()
    odd = Found(found.boxes, found.scores + torch.nan, found.labels)
    error = BoxPrediction.of("x.png", odd, image, CLASSES)
    assert "not a finite number" in error.error
    with pytest.raises(DataError, match="has no boxes to draw"):
        error.save(tmp_path)
