"""Validation by folds: every example is judged once, by a network that did not learn it."""

import statistics

import pytest
import torch

import convatlas as ca
from convatlas.data import open_images
from convatlas.deadline import Deadline
from convatlas.errors import UsageError
from convatlas.explain.classes.score import close_race, least_gap
from convatlas.pipeline.config import RunConfig, Trial
from convatlas.pipeline.folding import (
    check_folds,
    contest_seconds,
    few_examples,
    head_by_folds,
    notes_of,
    validate_by_folds,
)
from convatlas.pipeline.run import Run
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.folds import fold_numbers
from convatlas.train.linear_head import fit_linear_head
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest

CANDIDATE = Candidate(
    "linear_classifier", {"in_channels": 1, "num_classes": 10, "size": 14}, {"size": 14}
)


class Few:
    """Digits with few training and validation images."""

    def __init__(self, train=100, val=40):
        data = open_images("digits")
        self.digests = data.digests
        self.splits = {
            "train": data.splits["train"].subset(range(train)),
            "val": data.splits["val"].subset(range(val)),
        }
        self.classes, self.channels = data.classes, data.channels
        self.height, self.width = data.height, data.width


@pytest.fixture
def trained():
    runner = TrialRunner(TASK, Few(), Recipe(epochs=2, batch_size=10), StopRequest(), Silent())
    runner.speeds.timed = False
    record = Trial(model=CANDIDATE.name, options={}, example={"size": 14}, input="14 px")
    trial = LiveTrial(count_candidate(CANDIDATE, Budget()), record)
    runner.train(trial, None, title="once")
    return runner, trial


def test_classes_are_spread_evenly_and_copies_stay_together():
    labels = [0] * 20 + [1] * 10 + [2] * 7
    groups = ["a", "a", "a", *range(3, 37)]
    numbers = fold_numbers(labels, groups, 5, seed=1)
    assert len(set(numbers[:3])) == 1
    for label in (1, 2):
        counts = [
            sum(n == fold and each == label for n, each in zip(numbers, labels, strict=True))
            for fold in range(5)
        ]
        assert max(counts) - min(counts) <= 1
    assert fold_numbers(labels, groups, 5, seed=1) == numbers
    assert fold_numbers(labels, groups, 5, seed=2) != numbers


def test_no_fold_learns_what_it_is_judged_on_and_all_are_judged():
    data = Few()
    bench = TASK.trial_data(data, Recipe(), {"augmentation": "none"}, Silent())
    numbers = bench.folds(4, 0)
    images = {
        split: [bytes(data.splits[split].read(i).numpy()) for i in range(len(data.splits[split]))]
        for split in ("train", "val")
    }
    candidate = Candidate("linear_classifier", dict(CANDIDATE.options), {"size": 28})
    judged = []
    for held in range(4):
        learn, judge = bench.fold(candidate, numbers, held).loaders(16, 0)
        seen, held_out = (
            [bytes(image.numpy()) for batch, _ in loader for image in batch]
            for loader in (learn, judge)
        )
        assert not set(seen) & set(held_out)
        assert len(seen) + len(held_out) == 140
        judged += held_out
    assert sorted(judged) == sorted(images["train"] + images["val"])


def test_the_chosen_network_is_trained_anew_for_each_fold(trained):
    runner, trial = trained
    before = {name: value.clone() for name, value in trial.model.state_dict().items()}
    notes = validate_by_folds(runner, trial, 4, Deadline(1e9))
    assert (notes.count, notes.items, len(notes.values)) == (4, 140, 4)
    assert notes.mean == pytest.approx(statistics.fmean(notes.values), abs=1e-5)
    expected = statistics.stdev(notes.values) / 2
    assert notes.standard_error == pytest.approx(expected, abs=1e-5)
    assert notes.mean > 0.3  # ten classes
    assert all(torch.equal(v, before[n]) for n, v in trial.model.state_dict().items())


def test_the_same_is_done_unasked_where_examples_are_few_and_time_is_left(trained):
    runner, trial = trained
    runner.speeds.timed, trial.record.seconds = True, 5.0
    assert validate_by_folds(runner, trial, None, Deadline(20.0)) is None  # no time for 5 x 5 s
    trial.record.seconds, trial.record.epochs = 0.5, 0.2
    assert validate_by_folds(runner, trial, None, Deadline(100.0)).count == 5
    runner.speeds.timed = False
    assert validate_by_folds(runner, trial, None, Deadline(1e9)) is None  # nothing was asked for


def test_there_are_no_more_folds_than_the_data_have(trained):
    runner, trial = trained
    three = {"train": [i % 3 for i in range(100)], "val": [i % 3 for i in range(40)]}
    trial_data = runner.trial_data
    trial_data.folds = lambda count, seed: three
    assert validate_by_folds(runner, trial, 5, Deadline(1e9)).count == 3
    trial_data.folds = lambda count, seed: {"train": [0] * 100, "val": [0] * 40}
    assert validate_by_folds(runner, trial, 5, Deadline(1e9)) is None


def test_trials_are_ranked_by_folds_where_there_are_any():
    record = Trial(
        model="m", options={}, example={}, input="", figures={"accuracy": 0.9, "loss": 1.0}
    )
    trial = LiveTrial(count_candidate(CANDIDATE, Budget()), record)
    metric = TASK.metric
    assert trial.score(metric) == (0.9, -1.0)
    record.folds = notes_of([0.5, 0.7], [2.0, 4.0], 30, "anew")
    assert trial.score(metric) == pytest.approx((0.6, -3.0))
    assert record.judged(metric) == pytest.approx(0.6)
    assert record.value(metric) == 0.9


def test_a_run_says_what_the_folds_found(config, tmp_path):
    config.leaderboard[0].folds = notes_of([0.5, 0.7], [2.0, 4.0], 30, "trained anew for each, 2 s")
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again.folds == config.leaderboard[0].folds
    assert again.folds_words == (
        "60.0% ± 10.0 points (mean and standard error of 2 folds, 30 images; "
        "trained anew for each, 2 s)"
    )
    assert Run(tmp_path, again).summary()["folds"]["mean"] == pytest.approx(0.6)
    again.leaderboard[0].folds = None
    assert (again.folds, again.folds_words) == (None, None)
    assert Run(tmp_path, again).summary()["folds"] is None


def test_a_head_is_found_anew_without_each_fold():
    random = torch.Generator().manual_seed(0)
    labels, numbers = torch.arange(30) % 2, torch.arange(30) % 3
    features = torch.randn(30, 4, generator=random) + labels[:, None]
    head = fit_linear_head(features, labels, 2)
    found = head_by_folds(features, labels, numbers, head, weights=None, seed=0)
    for held, (logits, truth) in enumerate(found):
        kept = numbers != held
        alone = fit_linear_head(features[kept], labels[kept], 2, penalties=[head.penalty])
        torch.testing.assert_close(logits, alone.logits(features[~kept]))
        assert torch.equal(truth, labels[~kept])


def test_each_fold_gets_about_as_long_as_the_winner():
    assert contest_seconds(100, None) == 100
    contest = contest_seconds(100, 4)
    assert contest + 4 * 0.75 * contest == pytest.approx(100)


def test_few_validation_examples_are_said_with_what_they_cannot_tell():
    assert few_examples(TASK, open_images("digits")) is None
    line = few_examples(TASK, Few(val=48))
    gap = least_gap(0.8, 48)
    assert line == (
        f"48 validation images: differences of less than {100 * gap:.0f} points are chance"
    )
    assert 0.15 < gap < 0.4
    right = round(0.8 * 48)
    assert not close_race(0.8, right / 48 - gap, 48)
    assert close_race(0.8, right / 48 - gap + 1 / 48, 48)


@pytest.mark.parametrize("folds", [1, 21, 2.5, "3"])
def test_a_number_of_folds_that_cannot_be_is_refused_before_anything_is_read(folds, tmp_path):
    with pytest.raises(UsageError, match="--folds must be a whole number from 2 to 20, got"):
        ca.fit(tmp_path / "nothing", task="classify", folds=folds)


def test_a_task_without_folds_says_so():
    other = type("Other", (), {"name": "other", "by_folds": False})()
    check_folds(None, other)
    with pytest.raises(UsageError, match="--folds: the task other cannot be validated by folds"):
        check_folds(3, other)
