"""A job that is limited by epochs and trials: nothing that was measured decides anything."""

import pytest
import torch
from safetensors.torch import load_file

from convatlas.errors import BudgetError, UsageError
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.fit import fit
from convatlas.search.budget import Budget


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extent")
    return [fit("digits", model="linear_classifier", epochs=2, out=folder / name) for name in "ab"]


def test_two_jobs_by_epochs_are_equal_to_the_last_bit(twice):
    one, other = (load_file(run.files["weights"]) for run in twice)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    boards = [[(t.input, t.epochs, t.figures) for t in run.config.leaderboard] for run in twice]
    assert boards[0] == boards[1]


def test_the_chosen_network_gets_the_epochs_and_the_others_fewer(twice):
    chosen, *others = [t for t in twice[0].config.leaderboard if t.epochs]
    assert chosen.epochs == pytest.approx(2, abs=0.1)
    assert others
    assert all(0 < t.epochs < 1 for t in others)


def test_no_more_trials_than_asked_for_and_both_new_limits_hold(tmp_path):
    budget = Budget(memory_bytes="3MB", throughput=10)
    run = fit(
        "digits",
        model="linear_classifier",
        epochs=1,
        max_trials=1,
        budget=budget,
        out=tmp_path / "run",
    )
    config = run.config
    assert sum(t.epochs > 0 for t in config.leaderboard) == 1
    assert config.memory_bytes is not None
    assert config.peak_bytes <= config.memory_bytes <= 3e6
    assert config.throughput is not None
    assert config.throughput >= 10
    assert "--max-memory 3MB --min-throughput 10" in run.files["report"].read_text()
    assert "--epochs 1 --max-trials 1" in run.files["report"].read_text()


@pytest.mark.parametrize(
    ("budget", "word"),
    [(Budget(memory_bytes=1000), "memory_bytes"), (Budget(throughput=1e12), "throughput")],
)
def test_what_misses_a_new_limit_is_over_budget(budget, word, tmp_path):
    with pytest.raises(BudgetError, match=word):
        fit("digits", model="linear_classifier", epochs=1, budget=budget, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"epochs": float("nan")}, "--epochs"),
        ({"trials": 0}, "trials"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_option(given, option):
    with pytest.raises(UsageError, match=option):
        Extent(**given)
