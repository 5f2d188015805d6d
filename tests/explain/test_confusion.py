import pytest
import torch

from convatlas.explain.classes.confusion import (
    Confusion,
    class_figures,
    confusion_matrix,
    most_confused,
    worst_classes,
)

# Class 3 is never true, class 4 is never true and never given, class 2 is never given.
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2])
PREDICTED = torch.tensor([0, 0, 1, 3, 1, 1, 0, 1, 1])


def slow_matrix():
    rows = [[0] * 5 for _ in range(5)]
    for true, predicted in zip(LABELS.tolist(), PREDICTED.tolist(), strict=True):
        rows[true][predicted] += 1
    return torch.tensor(rows)


def test_rows_are_true_and_columns_given():
    assert torch.equal(confusion_matrix(LABELS, PREDICTED, 5), slow_matrix())


def test_figures_are_the_ratios_of_the_matrix():
    matrix = slow_matrix()
    for i, found in enumerate(class_figures(LABELS, PREDICTED, 5)):
        right, given, images = (int(n) for n in (matrix[i, i], matrix[:, i].sum(), matrix[i].sum()))
        assert found.images == images
        assert found.precision == (pytest.approx(right / given) if given else None)
        assert found.recall == (pytest.approx(right / images) if images else None)
        f1 = pytest.approx(2 * right / (given + images)) if given + images else None
        assert found.f1 == f1


def test_figures_are_those_of_torchmetrics():
    from torchmetrics.functional import classification as peer

    random = torch.Generator().manual_seed(0)
    labels, predicted = (torch.randint(0, 7, (500,), generator=random) for _ in range(2))
    matrix = peer.multiclass_confusion_matrix(predicted, labels, num_classes=7)
    assert torch.equal(confusion_matrix(labels, predicted, 7), matrix)
    found = class_figures(labels, predicted, 7)
    for name, measure in (
        ("precision", peer.multiclass_precision),
        ("recall", peer.multiclass_recall),
        ("f1", peer.multiclass_f1_score),
    ):
        expected = measure(predicted, labels, num_classes=7, average="none").tolist()
        assert [getattr(row, name) for row in found] == pytest.approx(expected)


def test_two_classes_are_not_taken_for_yes_and_no():
    figures = class_figures(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2)
    assert [f.recall for f in figures] == [0.5, 1]


def test_the_pair_with_most_mistakes_comes_first():
    pairs = most_confused(slow_matrix())
    assert pairs[0] == Confusion(true=2, predicted=1, count=2)
    assert sum(pair.count for pair in pairs) == 5
    assert all(pair.true != pair.predicted for pair in pairs)
    assert most_confused(slow_matrix(), most=1) == pairs[:1]
    assert most_confused(torch.eye(3, dtype=torch.int64)) == []


def test_worst_classes_are_those_in_most_mistakes():
    # Mistakes of each class, as true or as given: 0: 3, 1: 4, 2: 2, 3: 1, 4: none.
    assert worst_classes(slow_matrix(), 2) == [0, 1]
    assert worst_classes(slow_matrix(), 3) == [0, 1, 2]
    assert worst_classes(slow_matrix(), 9) == [0, 1, 2, 3, 4]
