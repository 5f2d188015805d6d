"""Who is counted and tried, given the time there is."""

import math

import pytest

from convatlas.data import open_images
from convatlas.errors import BudgetError
from convatlas.models import find_entry
from convatlas.pipeline.measure import Speeds
from convatlas.pipeline.select_trials import (
    choose_trials,
    count_all,
    trainable_macs,
)
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import CostedCandidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe


@pytest.fixture(scope="module")
def speeds():
    return Speeds(open_images("digits"), Recipe())


def counted_of(speeds, *names, most_macs=math.inf, seconds=60.0):
    entries = [find_entry(name) for name in names]
    rows = TASK.fresh(entries, speeds.data, fixed_width=False)
    return count_all(rows, Budget(), most_macs=most_macs, seconds=seconds, progress=Silent())


def test_more_work_than_the_time_allows_is_left_out_and_says_so(speeds, monkeypatch):
    def build(candidate):
        pytest.fail(f"{candidate.name} was built")

    counted = counted_of(speeds, "vgg19", "linear_classifier", most_macs=50_000)
    assert {c.candidate.name for c in counted if c.fits} == {"linear_classifier"}
    (late,) = [c for c in counted if c.candidate.name == "vgg19"]
    assert late.too_slow
    assert late.reason.startswith("too slow: ")
    assert "at most 50.0 k" in late.reason
    trials, others = choose_trials(TASK, counted, Budget(), speeds, seconds=60)
    assert {e.record.model for e in trials} == {"linear_classifier"}
    assert [o.status for o in others if o.model == "vgg19"] == ["not trained"]


def test_narrower_and_smaller_ones_take_the_place_of_those_that_are_too_slow(speeds):
    counted = counted_of(speeds, "resnet20_cifar", most_macs=4e6)
    fitting = [c for c in counted if c.fits]
    assert fitting
    assert all(c.cost.macs <= 4e6 for c in fitting)
    assert max(c.candidate.options["width"] for c in fitting) < 1


def test_where_everything_is_too_slow_the_least_work_is_tried(speeds):
    counted = counted_of(speeds, "resnet56_cifar", "resnet20_cifar", most_macs=1000)
    (tried,) = [c for c in counted if c.fits]
    assert tried.candidate.name == "resnet20_cifar"
    assert tried.candidate.example == {"size": 21}
    assert tried.candidate.options["width"] == 0.25


def test_so_is_a_network_that_the_index_does_not_know(speeds, monkeypatch):
    monkeypatch.setattr("convatlas.pipeline.select_trials.estimate", lambda candidate: None)
    (tried,) = [c for c in counted_of(speeds, "resnet20_cifar", most_macs=1000) if c.fits]
    assert tried.candidate.options["width"] == 0.25


def test_when_the_time_for_counting_is_up_the_rest_is_named_uncounted(speeds):
    names = [n for n in ("lenet5_modern", "squeezenet", "resnet20_cifar", "mobilenet_v2")]
    names += ["mobilenet_v1", "shufflenet_v2", "squeezenext23", "linear_classifier", "nin_cifar"]
    names += ["densenet40_k12_cifar", "pydmobilenet29_cifar", "mnasnet_small", "fbnet_a"]
    names += ["mobilenet_v3_small"]
    counted = counted_of(speeds, *names, seconds=0.0)
    late = [c for c in counted if c.too_slow]
    assert len({c.candidate.name for c in counted if c.fits}) == 1  # without one there is no job
    assert len(late) == len(names) - 1
    assert all(c.reason == "not counted: the time for counting ran out" for c in late)


def test_the_work_that_can_be_trained_grows_with_the_time(speeds):
    short, long = (trainable_macs(speeds, s, transfer=False) for s in (30, 60))
    assert long == pytest.approx(2 * short)
    # 80 steps of the first of three places' rounds, each step three times the forward work.
    images = 80 * speeds.recipe.batch_size
    rate = short * 3 * images / (30 / 2 / 3)
    assert 1e8 < rate < 1e13  # multiply-adds a second of some machine
    assert Candidate("lenet5", {}, {"size": 32}).checkpoint is None


def test_where_no_size_suits_the_message_tells_it_from_those_too_slow_to_try(speeds):
    counted = [
        CostedCandidate(
            Candidate("lenet5", {}, {"size": 192}), None, "too slow: for the time", too_slow=True
        ),
        CostedCandidate(
            Candidate("lenet5", {}, {"size": 64}), None, "input must be exactly (n, 1, 32, 32)"
        ),
    ]
    with pytest.raises(
        BudgetError,
        match=r"takes none of .* \(64 px\): input must.*; 192 px: too slow.*--time-limit",
    ):
        choose_trials(TASK, counted, Budget(), speeds, seconds=60)
