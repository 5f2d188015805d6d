"""Options of every task with classes: checked before anything is read, and they reach training."""

import pytest
import torch

import convatlas as ca
from convatlas.data import open_images
from convatlas.errors import UsageError
from convatlas.metric import ACCURACY, BALANCED_ACCURACY
from convatlas.pipeline.trials import TrialRunner
from convatlas.progress import Silent
from convatlas.search.space import Candidate
from convatlas.tasks.class_options import class_weights
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "balanced"}, "--metric must be one of accuracy, balanced_accuracy, got"),
        ({"class_weights": "equal"}, "--class-weights must be none, balanced, or a number above 0"),
        ({"class_weights": (1, 0)}, "--class-weights must be none, balanced, or a number above 0"),
        ({"class_weights": (1, "b")}, "--class-weights"),
        ({"class_weights": float("nan")}, "--class-weights"),
    ],
)
def test_values_that_cannot_be_are_refused_before_anything_is_read(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path / "nothing", task="classify", **options)


def test_balanced_weights_give_each_class_the_same_sum():
    labels = [0] * 6 + [1] * 2 + [2] * 4
    weights = class_weights({"class_weights": "balanced"}, labels, "abc")
    assert weights.tolist() == pytest.approx([12 / (3 * 6), 12 / (3 * 2), 12 / (3 * 4)])
    assert class_weights({}, labels, "abc") is None
    assert class_weights({"class_weights": (1, 2.5, 3)}, labels, "abc").tolist() == [1, 2.5, 3]
    with pytest.raises(UsageError, match=r"for each of the 3 classes, in this order: a, b, c; got"):
        class_weights({"class_weights": (1, 2)}, labels, "abc")


def test_metric_and_weights_reach_the_task_of_training_and_the_head():
    data = open_images("digits")
    options = {"metric": "balanced_accuracy", "class_weights": tuple(range(1, 11))}
    runner = TrialRunner(TASK, data, Recipe(), StopRequest(), Silent(), options)
    plain = TrialRunner(TASK, data, Recipe(), StopRequest(), Silent())
    assert (runner.metric, plain.metric) == (BALANCED_ACCURACY, ACCURACY)
    settings = {"in_channels": 1, "num_classes": 10, "size": 21}
    candidate = Candidate("linear_classifier", settings, {"size": 21})
    task = runner.trial_data.training(candidate, Recipe(), 50)
    assert task.metric == BALANCED_ACCURACY
    labels = torch.tensor([0, 9, 9])
    loss = torch.nn.functional.cross_entropy(torch.eye(10)[:3], labels, reduction="none")
    expected = (loss * torch.tensor([1.0, 10.0, 10.0])).sum() / 21
    bench = runner.trial_data
    bench.label_smoothing = 0.0
    given = bench.training(candidate, Recipe(), 50)._criterion(torch.eye(10)[:3], labels)
    torch.testing.assert_close(given, expected)
    assert bench.example_weights(labels).tolist() == [1, 10, 10]
    assert bench.figures(torch.eye(10), torch.arange(10)).keys() == {
        *("loss", "accuracy", "balanced_accuracy")
    }
    assert bench.training_options()["class_weights"] == list(range(1, 11))
    assert plain.trial_data.example_weights(labels) is None
    assert "class_weights" not in plain.trial_data.training_options()
