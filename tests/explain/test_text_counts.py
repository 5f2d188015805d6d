"""Texts beside naive Bayes: its answers written out, and the doubt where it is as good."""

import math

import pytest
import torch

from convatlas.explain.classes.text_counts import TextEvaluation, counted_classes


def test_counts_are_those_of_the_formula_a_class_at_a_time():
    train = [torch.tensor(t) for t in ([3, 4, 3], [3, 5], [5, 5, 6], [6, 4, 5, 5])]
    labels, texts = [0, 0, 1, 1], [torch.tensor(t) for t in ([3, 3], [5, 6], [4], [3, 5, 5])]
    expected = []
    for text in texts:
        worth = []
        for label in (0, 1):
            seen = torch.cat([t for t, one in zip(train, labels, strict=True) if one == label])
            shares = [(int((seen == s).sum()) + 1) / (len(seen) + 7) for s in text.tolist()]
            worth.append(math.log(0.5) + sum(map(math.log, shares)))
        expected.append(worth.index(max(worth)))
    assert counted_classes(train, labels, texts, 7).tolist() == expected


@pytest.mark.parametrize(("counted", "doubted"), [([0, 1, 1, 0], False), ([0, 1, 0, 0], True)])
def test_a_network_no_better_than_counting_is_doubted(counted, doubted):
    labels, share = torch.tensor([0, 1, 0, 1]), torch.tensor([[0.9, 0.1]] * 1 + [[0.1, 0.9]] * 3)
    names = ["a", "b", "c", "d"]
    found = TextEvaluation(labels, share, names, ["x", "y"], counted=torch.tensor(counted))
    said = [line for line in found.record()["doubts"] if "counting words alone" in line]
    assert bool(said) is doubted
    assert found.figures["accuracy_counts"] == (0.75 if doubted else 0.5)
