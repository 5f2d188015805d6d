import pytest
import torch

from convatlas.explain.classes.evaluation import Evaluation, wilson_interval


def answers():
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    return Evaluation(torch.tensor([0, 0, 1]), probabilities, ["a", "b", "c"], ["x", "y"])


def test_accuracy_is_the_share_of_right_answers():
    assert answers().predicted.tolist() == [0, 1, 1]
    assert (answers().right, len(answers())) == (2, 3)
    assert answers().accuracy == 2 / 3


@pytest.mark.parametrize("files", [["a", "b"], []])
def test_one_file_for_each_answer_is_required(files):
    with pytest.raises(ValueError, match=r"as many labels .* got \(3, 3, \d\)"):
        Evaluation(answers().labels, answers().probabilities, files, ["x", "y"])


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Evaluation(torch.zeros(0), torch.zeros(0, 2), [], ["x", "y"])


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17,
# 1998, table I, method 3.
@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_interval_is_the_published_one(right, total, low, high):
    found = wilson_interval(right, total)
    assert found == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(total - right, total)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_the_ends_of_the_interval_solve_its_equation():
    right, total, z = 987, 1000, 1.959963984540054
    for end in wilson_interval(right, total):
        assert abs(right / total - end) == pytest.approx(z * (end * (1 - end) / total) ** 0.5)


def test_all_right_and_all_wrong_stay_within_bounds():
    assert wilson_interval(50, 50)[1] == 1
    assert wilson_interval(0, 50)[0] == 0
    assert wilson_interval(1, 1)[0] < 0.3


@pytest.mark.parametrize(("right", "total"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(right, total):
    with pytest.raises(ValueError, match="0 <= right <= total"):
        wilson_interval(right, total)
