"""Figures of masks on whole images: regions, intervals, doubts, pictures."""

from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.errors import DataError
from convatlas.explain.masks.draw import class_colours, overlay
from convatlas.explain.masks.evaluation import MaskEvaluation
from convatlas.explain.masks.prediction import MaskPrediction, csv_columns
from convatlas.explain.masks.rand_score import rand_f_score, rand_score
from convatlas.train.mask_figures import count_pixels


def evaluated(pairs, classes=("ground", "cell"), **options):
    counts = torch.stack([count_pixels(found, truth, len(classes)) for found, truth in pairs])
    names = [f"{i}.png" for i in range(len(pairs))]
    return MaskEvaluation(names, counts, classes, **options)


def some(count=12, right=0.9, classes=2):
    random = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(count):
        truth = torch.randint(0, classes, (8, 8), generator=random)
        wrong = torch.rand(8, 8, generator=random) > right
        pairs.append((torch.where(wrong, (truth + 1) % classes, truth), truth))
    return pairs


def test_rand_score_is_the_share_of_pairs_counted_one_by_one():
    random = np.random.default_rng(0)
    found, truth = random.integers(0, 4, (2, 6, 7))
    inside = np.argwhere(truth > 0)
    both = of_found = of_truth = 0
    for a, b in combinations(map(tuple, inside), 2):
        same_found, same_truth = found[a] == found[b] > 0, truth[a] == truth[b]
        both += same_found and same_truth
        of_found, of_truth = of_found + same_found, of_truth + same_truth
    assert rand_f_score(found, truth) == pytest.approx(2 * both / (of_found + of_truth))


def test_rand_score_is_that_of_scikit_image_where_each_pixel_has_a_region():
    metrics = pytest.importorskip("skimage.metrics")
    random = np.random.default_rng(1)
    truth, found = random.integers(0, 5, (20, 20)), random.integers(1, 4, (20, 20))
    error, _, _ = metrics.adapted_rand_error(truth, found)
    assert rand_f_score(found, truth) == pytest.approx(1 - error, abs=1e-9)


def test_a_gap_that_is_closed_costs_more_than_its_pixels():
    truth = torch.ones(20, 21, dtype=torch.long)
    truth[:, 10] = 0
    merged, thick = torch.ones_like(truth), truth.clone()
    thick[:, 9:12] = 0
    assert rand_score(truth, truth) == 1
    assert rand_score(merged, truth) < 0.7 < rand_score(thick, truth)
    assert rand_score(truth * 0, truth * 0) == 1


def test_figures_are_of_all_pixels_and_the_interval_of_images():
    pairs = some()
    judged = evaluated(pairs)
    found, truth = (torch.stack(each) for each in zip(*pairs, strict=True))
    iou = [
        ((found == k) & (truth == k)).sum() / ((found == k) | (truth == k)).sum() for k in (0, 1)
    ]
    assert judged.figures["mean_iou"] == pytest.approx(float(sum(iou)) / 2)
    low, high = judged.interval
    assert low < judged.figures["mean_iou"] < high
    assert high - low < 0.2
    assert judged.record()["doubts"] == []
    assert "95 % interval" in judged.record()["words"]
    assert [row[0] for row in judged.table()[1]] == ["ground", "cell"]
    assert judged.telling[0] == int(judged.by_image.argmin())
    assert judged.to_dict()["classes"][1]["iou"] == pytest.approx(float(iou[1]))


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    random, held = np.random.default_rng(0), 0
    for _ in range(40):
        right = random.uniform(0.6, 1.0, 25)
        counts = torch.tensor([[[int(100 * r), 100 - int(100 * r)], [0, 100]] for r in right])
        judged = MaskEvaluation([""] * 25, counts, ("a", "b"))
        low, high = judged.interval
        held += low <= (0.8 + 100 / 120) / 2 <= high
    assert held >= 34


def test_doubts_name_what_is_wrong():
    truth = [torch.randint(0, 3, (8, 8)) for _ in range(12)]
    always = evaluated([(t * 0, t) for t in truth], "abc").record()["doubts"]
    assert "every pixel is taken for a" in always[0]
    never = evaluated([(t.clamp(max=1), t) for t in truth], "abc").record()["doubts"]
    assert never == ["never found: c"]
    few = evaluated(some(3)).record()["doubts"]
    assert few == ["3 images tell little of others: the interval knows only how these vary"]


def test_masks_are_written_with_their_values_and_over_the_image(tmp_path):
    mask = torch.tensor([[0, 1, 2], [2, 2, 0]], dtype=torch.uint8)
    image = torch.full((1, 2, 3), 100, dtype=torch.uint8)
    probability = torch.tensor([[1.0, 0.6, 0.7], [0.8, 0.9, 0.5]])
    answer = MaskPrediction.of("a/b.jpg", mask, probability, image, ("sky", "road", "car"))
    assert answer.shares == {"car": 0.5, "sky": pytest.approx(1 / 3, abs=1e-5), "road": 0.166667}
    assert answer.probability["car"] == pytest.approx(0.8)
    paths = answer.save(tmp_path / "out")
    assert [path.name for path in paths] == ["b-mask.png", "b-overlay.png"]
    with Image.open(paths[0]) as written:
        assert written.mode == "P"
        assert np.array_equal(np.asarray(written), mask.numpy())
    with Image.open(paths[1]) as drawn:
        pixels = np.asarray(drawn)
    assert pixels[0, 0].tolist() == [100, 100, 100]
    expected = (class_colours(3)[2].float() + 100) / 2
    assert np.abs(pixels[1, 1] - expected.numpy()).max() <= 1
    assert answer.cells(2) == ["car", "0.500000", "sky", "0.333333"]
    assert len(answer.cells(5)) == len(csv_columns(5))
    assert [row[1] for row in answer.rows(1)] == ["car", "sky", "road"]
    failed = MaskPrediction("c.jpg", error="c.jpg: is no image")
    with pytest.raises(DataError, match="has no mask"):
        failed.save(tmp_path)
    assert failed.rows(1) == [("c.jpg", None, None, None)]


def test_colours_differ():
    colours = class_colours(12).float()
    distance = torch.cdist(colours, colours) + 1000 * torch.eye(12)
    assert distance.min() > 40
    grey = overlay(torch.zeros(3, 2, 2, dtype=torch.uint8), torch.full((2, 2), 255), 3)
    assert (grey == 64).all()
