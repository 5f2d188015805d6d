"""A network trains the way in which a measured step is fastest, and is torch's own afterwards."""

import pytest
import torch
from torch import nn

from convatlas.data import open_images
from convatlas.kernels.layers.choose import CHANNELS_LAST, KERNELS, MIN_MEASURING_S, TORCH
from convatlas.pipeline.config import Trial
from convatlas.pipeline.trials import LiveTrial, TrialRunner
from convatlas.progress import Silent
from convatlas.search.budget import Budget
from convatlas.search.costed import count_candidate
from convatlas.search.space import Candidate
from convatlas.tasks.classify import TASK
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.tasks.classify import Classify


class Listener(Silent):
    def __init__(self):
        self.said = []

    def say(self, line):
        self.said.append(line)


def entrant_of(name, size):
    options = {"in_channels": 1, "num_classes": 10}
    record = Trial(model=name, options={}, example={"size": size}, input=f"{size} px")
    candidate = Candidate(name, options, {"size": size})
    return LiveTrial(count_candidate(candidate, Budget()), record)


def convolutions(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


@pytest.fixture
def runner():
    return TrialRunner(TASK, open_images("digits"), Recipe(epochs=0.02), StopRequest(), Listener())


def measured(monkeypatch, best):
    asked = []

    def seconds(model, inputs, *, limit_s):
        asked.append((type(model).__name__, tuple(inputs[0].shape), limit_s))
        return {way: 1.0 if way == best else 2.0 for way in (TORCH, CHANNELS_LAST, KERNELS)}

    monkeypatch.setattr("convatlas.pipeline.measure.step_seconds", seconds)
    return asked


@pytest.mark.parametrize("way", [TORCH, CHANNELS_LAST, KERNELS])
def test_it_trains_the_measured_way_and_comes_back_plain(way, runner, monkeypatch):
    if way == KERNELS:
        pytest.importorskip("numba")
    trial = entrant_of("lenet5_modern", 32)
    asked = measured(monkeypatch, way)
    runner.choose_ways([trial], 10.0)
    assert [(name, shape[1:]) for name, shape, _ in asked] == [("LeNet5Modern", (1, 32, 32))]
    assert trial.way == way
    assert any("CPU kernels" in line for line in runner.progress.said) == (way == KERNELS)

    seen, loss = [], Classify.loss

    def watched(task, model, batch):
        conv = convolutions(model)[1]
        seen.append((type(conv) is nn.Conv2d, conv.weight.stride()))
        return loss(task, model, batch)

    monkeypatch.setattr(Classify, "loss", watched)
    monkeypatch.setattr("convatlas.train.way.MIN_MEASURING_S", 0.0)
    monkeypatch.setattr("convatlas.train.way.MEASURED_STEPS", 0)
    monkeypatch.setattr("convatlas.train.way.step_seconds", lambda *_, **_o: asked.append(1))
    runner.train(trial, None, title="round")
    assert len(asked) == 1  # training measures nothing again
    assert len(set(seen)) == 1
    plain, stride = seen[0]
    assert plain == (way != KERNELS)
    weight = convolutions(trial.model)[1].weight
    lies = weight.to(memory_format=torch.channels_last).stride()
    assert (stride == lies) == (way == CHANNELS_LAST)
    assert {type(m) for m in convolutions(trial.model)} == {nn.Conv2d}
    assert all(p.is_contiguous() for p in trial.model.parameters())
    assert trial.record.figures


def test_there_is_no_measuring_without_time_for_it_or_in_short_numbers(runner, monkeypatch):
    asked = measured(monkeypatch, KERNELS)
    trial = entrant_of("lenet5_modern", 32)
    runner.choose_ways([trial], MIN_MEASURING_S / 2)
    runner.recipe = Recipe(precision="bf16")
    runner.choose_ways([trial], 10.0)
    assert asked == []
    assert trial.way == TORCH
