"""The front is what is left when every network that another beats is taken away."""

import itertools
import random

import pytest

from convatlas.cli.fit_result import front_lines
from convatlas.metric import ACCURACY, Metric
from convatlas.pipeline.config import Trial
from convatlas.pipeline.front import front_of
from convatlas.pipeline.run import Run


def trial(name, value, macs, params=10, **further):
    figures = {"accuracy": value} if value is not None else {}
    return Trial(
        model=name,
        options={},
        example={},
        input="28 px",
        macs=macs,
        params=params,
        figures=figures,
        **further,
    )


def names(trials):
    return [each.model for each in trials]


def test_cheaper_or_better_stays_and_the_best_is_first():
    board = [trial("a", 0.9, 50), trial("b", 0.95, 100), trial("c", 0.85, 60), trial("d", 0.8, 10)]
    assert names(front_of(board, ACCURACY)) == ["b", "a", "d"]


def test_fewer_params_alone_keep_a_network_on_the_front():
    board = [trial("a", 0.9, 50, 50), trial("b", 0.8, 60, 40)]
    assert names(front_of(board, ACCURACY)) == ["a", "b"]
    assert names(front_of(board, ACCURACY, ("macs",))) == ["a"]


def test_of_equal_networks_the_first_stands_for_all():
    assert names(front_of([trial("a", 0.9, 50), trial("b", 0.9, 50)], ACCURACY)) == ["a"]


def test_what_was_not_trained_or_is_over_the_budget_takes_no_part():
    board = [
        trial("a", None, 1),
        trial("b", 0.9, None),
        trial("c", 0.99, 1, status="over budget"),
        trial("d", 0.5, 50),
    ]
    assert names(front_of(board, ACCURACY)) == ["d"]


def test_a_metric_of_which_less_is_better():
    error = Metric("accuracy", "error", higher_is_better=False)
    assert names(front_of([trial("a", 3.0, 50), trial("b", 2.0, 50)], error)) == ["b"]


@pytest.mark.parametrize("seed", range(5))
def test_each_network_off_the_front_is_beaten_by_one_on_it(seed):
    draw = random.Random(seed)
    board = [
        trial(str(i), draw.randint(1, 9) / 10, draw.randint(1, 9), draw.randint(1, 9))
        for i in range(30)
    ]
    front = front_of(board, ACCURACY)

    def no_worse(one, other):
        better = one.figures["accuracy"] >= other.figures["accuracy"]
        return better and one.macs <= other.macs and one.params <= other.params

    assert all(any(no_worse(kept, each) for kept in front) for each in board)
    assert not any(no_worse(a, b) for a, b in itertools.permutations(front, 2))


def test_the_screen_names_cheaper_networks_with_what_they_cost_and_reached(run):
    config = run.config.model_copy(deep=True)
    config.macs, config.params = 100, 10
    config.leaderboard = [
        trial("large", 0.95, 100, status="chosen"),
        trial("beaten", 0.85, 60),
        trial("small", 0.9, 50, epochs=1.5),
    ]
    assert front_lines(Run(run.path, config)) == [
        "with 0.5 x the macs and 1 x the params: small at 28 px, "
        "90.0% on validation after 1.5 epochs"
    ]
