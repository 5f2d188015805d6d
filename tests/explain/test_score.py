import pytest
import torch

from convatlas.explain.classes.evaluation import Evaluation, wilson_interval
from convatlas.explain.classes.score import close_race, score_of


def answers(labels, predicted, classes=2):
    probabilities = torch.full((len(labels), classes), 0.1)
    probabilities[torch.arange(len(labels)), torch.tensor(predicted)] = 0.9
    found = Evaluation(
        torch.tensor(labels), probabilities, [str(i) for i in range(len(labels))], list("abc")
    )
    return found.labels, found.predicted


def test_an_accuracy_below_the_commonest_answer_is_called_chance():
    """61 % where always answering the commoner class gives 91 %."""
    labels = [0] * 91 + [1] * 9
    predicted = [0] * 56 + [1] * 35 + [1] * 5 + [0] * 4
    score = score_of(*answers(labels, predicted), ["cat", "dog"])
    assert (score.accuracy, score.commonest_class, score.commonest_share) == (0.61, "cat", 0.91)
    assert score.balanced_accuracy == pytest.approx((56 / 91 + 5 / 9) / 2)
    assert score.interval == wilson_interval(61, 100)
    assert not score.above_chance
    (doubt,) = score.doubts()
    assert doubt == (
        "the accuracy of 61.00% is not above chance: always predicting cat gives 91.00%"
    )
    for part in ("61.00%", "100 images", "95 % interval", "91.00%", "balanced accuracy 58.55%"):
        assert part in score.words()


def test_equal_classes_need_no_balance_and_a_good_accuracy_no_doubt():
    score = score_of(*answers([0, 1] * 50, [0, 1] * 45 + [1, 0] * 5), ["a", "b"])
    assert score.balanced_accuracy is None
    assert score.above_chance
    assert score.doubts() == []


def test_so_few_images_prove_nothing():
    score = score_of(*answers([0, 1] * 3, [0, 1] * 2 + [0, 0]), ["a", "b"])
    assert score.accuracy == pytest.approx(5 / 6)
    assert not score.above_chance  # five of six may be luck


def test_classes_without_images_do_not_count():
    score = score_of(*answers([0, 0, 2, 2], [0, 0, 2, 2], classes=3), ["a", "b", "c"])
    assert (score.commonest_share, score.balanced_accuracy) == (0.5, None)


@pytest.mark.parametrize(
    ("first", "second", "images", "close"),
    [(0.90, 0.88, 50, True), (0.90, 0.88, 50_000, False), (1.0, 0.5, 48, False)],
)
def test_a_race_is_close_where_the_intervals_overlap(first, second, images, close):
    assert close_race(first, second, images) == close
