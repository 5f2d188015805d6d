import pytest
import torch

from convatlas.explain.classes.balanced import balanced_interval
from convatlas.explain.classes.evaluation import Evaluation, wilson_interval
from convatlas.explain.classes.score import close_race, score_of
from convatlas.metric import BALANCED_ACCURACY


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


def test_where_balanced_accuracy_is_the_metric_all_that_is_said_is_about_it():
    labels, predicted = [0] * 91 + [1] * 9, [0] * 91 + [1] * 1 + [0] * 8
    found = Evaluation(
        torch.tensor(labels),
        torch.nn.functional.one_hot(torch.tensor(predicted)).float(),
        [str(i) for i in range(100)],
        ["cat", "dog"],
        metric=BALANCED_ACCURACY,
    )
    balanced = (1 + 1 / 9) / 2
    assert found.figures == pytest.approx({"accuracy": 0.92, "balanced_accuracy": balanced})
    record = found.record()
    low, high = record["interval"]
    assert low < balanced < high
    assert record["words"].startswith("55.56% on 100 images of 2 classes (95 % interval about")
    assert "guessing gives 50.00%; accuracy 92.00%" in record["words"]
    assert record["doubts"] == [
        "the balanced accuracy of 55.56% is not above chance: guessing gives 50.00%"
    ]
    assert found.lines()[0].startswith("balanced accuracy 55.56%")
    assert found.to_dict()["interval"] == [low, high]
    assert found.to_dict()["accuracy_interval"] == list(wilson_interval(92, 100))


def test_the_interval_of_a_balanced_accuracy_holds_the_truth_as_often_as_it_says():
    random = torch.Generator().manual_seed(0)
    seen, true = torch.tensor([80.0, 12.0, 30.0]), torch.tensor([0.95, 0.6, 0.8])
    inside = 0
    for _ in range(600):
        low, high = balanced_interval(torch.binomial(seen, true, generator=random), seen)
        inside += low <= float(true.mean()) <= high
    assert 0.92 < inside / 600 < 0.99
    assert balanced_interval(torch.tensor([9.0]), torch.tensor([9.0]))[0] < 0.9


def test_the_five_most_probable_classes_count_where_there_are_more():
    answers = torch.rand(200, 9, generator=torch.Generator().manual_seed(1)).softmax(1)
    labels = torch.arange(200) % 9
    order = answers.argsort(dim=1, descending=True)[:, :5].tolist()
    expected = sum(label in five for label, five in zip(labels.tolist(), order, strict=True)) / 200
    names = [str(i) for i in range(200)]
    found = Evaluation(labels, answers, names, names[:9])
    assert found.to_dict()["top5_accuracy"] == pytest.approx(expected)
    assert found.lines()[1] == f"true class among the five most probable: {expected:.2%}"
    few = Evaluation(labels % 5, answers[:, :5], names, names[:5])
    assert "top5_accuracy" not in few.to_dict()
