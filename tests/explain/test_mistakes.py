import pytest
import torch

from convatlas.explain.classes.mistakes import worst_mistakes


def evaluation(labels):
    probabilities = torch.tensor(
        [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.05, 0.9, 0.05], [0.2, 0.4, 0.4]]
    )
    return torch.tensor(labels), probabilities, ["a", "b", "c", "d"]


def test_the_surest_wrong_answer_comes_first():
    found = worst_mistakes(*evaluation([1, 2, 0, 0]))
    assert [(m.index, m.file, m.true, m.predicted) for m in found] == [
        (2, "c", 0, 1),
        (0, "a", 1, 0),
        (3, "d", 0, 1),
    ]
    assert (found[0].probability, found[0].true_probability) == pytest.approx((0.9, 0.05))


def test_only_as_many_as_asked_for():
    assert [m.file for m in worst_mistakes(*evaluation([1, 2, 0, 0]), most=1)] == ["c"]


def test_no_mistakes_give_an_empty_list():
    assert worst_mistakes(*evaluation([0, 2, 1, 1])) == []
