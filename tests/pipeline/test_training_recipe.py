"""Options of training are checked before anything is read, and they reach the steps."""

import pytest
import torch

import convatlas as ca
from convatlas.data import open_images
from convatlas.data.threads import thread_count
from convatlas.errors import UsageError
from convatlas.pipeline.config import Trial
from convatlas.pipeline.training_recipe import fixed_options, suited
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.device import training_device
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"recipe": {"batch_size": 1}}, "--batch must be a whole number from 2 to"),
        ({"recipe": {"batch_size": 2.5}}, "--batch"),
        ({"recipe": {"lr": 0}}, "--learning-rate must be above 0 and finite, got 0"),
        ({"recipe": {"lr": float("nan")}}, "--learning-rate"),
        ({"recipe": {"precision": "fp64"}}, "--precision must be no, bf16, fp16 or auto, got"),
        ({"recipe": {"epochs": 3}}, "recipe: epochs is set by --epochs"),
        ({"recipe": {"wheight_decay": 3}}, "no option 'wheight_decay'.*nearest: weight_decay"),
        ({"recipe": {"warmup": 2}}, "Recipe: warmup cannot be 2"),
        ({"device": "gpu"}, "--device must be auto or one of cpu.*, got 'gpu'"),
        ({"device": "cuda:99"}, "--device"),
        ({"workers": 0}, "--workers must be a whole number from 1 to 256, got 0"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_option(options, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        ca.fit(tmp_path / "nothing", task="classify", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there fp16 may be used")
def test_short_numbers_that_the_device_cannot_use_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--precision fp16 needs a GPU"):
        ca.fit(tmp_path / "nothing", task="classify", recipe={"precision": "fp16"}, device="cpu")
    assert suited({"precision": "auto"}, open_images("digits"), 0, Recipe()).precision == "no"


def test_what_was_asked_for_stays_and_the_rest_suits_the_data():
    data = open_images("digits")
    few = type("Few", (), {"splits": {"train": range(60)}})()
    assert suited(None, data, 3, Recipe()).seed == 3
    assert suited(None, few, 0, Recipe()).batch_size == 16
    asked = {"batch_size": 500, "lr": 1e-3, "freeze": 2}
    recipe = suited(asked, few, 0, TASK.transfer_recipe)
    assert (recipe.batch_size, recipe.lr, recipe.freeze) == (500, 1e-3, "2")
    assert suited(Recipe(batch_size=500), few, 0, Recipe()).batch_size == 16
    assert fixed_options(asked) == {"batch_size", "lr", "freeze"}
    assert fixed_options(Recipe()) == frozenset()


@pytest.mark.parametrize(("fixed", "batch"), [(frozenset(), 4), (frozenset({"batch_size"}), 40)])
def test_a_batch_that_was_asked_for_is_that_of_every_step_however_slow(fixed, batch, monkeypatch):
    recipe, seen = Recipe(epochs=1, batch_size=40), []
    runner = TrialRunner(TASK, open_images("digits"), recipe, StopRequest(), Silent())
    runner.fixed = fixed
    candidate = Candidate(
        "linear_classifier", {"in_channels": 1, "num_classes": 10, "size": 21}, {"size": 21}
    )
    monkeypatch.setattr(runner.speeds, "step_seconds", lambda candidate: 1.0)  # an image
    record = Trial(model=candidate.name, options={}, example={"size": 21}, input="21 px")
    trial = LiveTrial(count_candidate(candidate, Budget()), record)

    def note(model, task, recipe, **options):
        seen.append(len(next(iter(task.loaders(recipe.batch_size, 0)[0]))[1]))
        raise KeyboardInterrupt

    monkeypatch.setattr("convatlas.pipeline.trials.train", note)
    with pytest.raises(KeyboardInterrupt):
        runner.train(trial, 1.0, title="slow")
    assert seen == [batch]


def test_device_and_threads_hold_for_the_job_alone(monkeypatch, tmp_path):
    seen = []

    def note(*_, **__):
        seen.append((str(training_device()), thread_count()))
        raise KeyboardInterrupt

    before = thread_count()
    monkeypatch.setattr("convatlas.pipeline.run_fit.open_data", note)
    with pytest.raises(KeyboardInterrupt):
        ca.fit("digits", device="cpu", workers=3, out=tmp_path / "run")
    assert seen == [("cpu", 3)]
    assert thread_count() == before
