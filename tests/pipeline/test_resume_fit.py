"""A `fit` that was killed goes on trial by trial, and ends as one that was not."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

import convatlas as ca
from convatlas.data import make_images
from convatlas.errors import DataError, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline import run_fit as module
from convatlas.pipeline.config import CHECKPOINTS
from convatlas.pipeline.fit_job import FitJob, read_fit_job
from convatlas.pipeline.fit_states import TRIALS, FitState, FitStates
from convatlas.pipeline.folder import BUILDING
from convatlas.pipeline.trials import TrialRunner
from convatlas.search.budget import Budget
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify
from heard import Heard

NETWORKS = ["linear_classifier", "lenet5", "lenet5_modern"]
LIMITS = {"epochs": 5, "max_trials": 3, "recipe": {"batch_size": 8}}
# A process of its own that kills itself in the midst of a step.
CHILD = """
import os, signal, sys
from convatlas.pipeline.fit_states import FitStates
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.tasks.classify import Classify
loss, taken = Classify.loss, []
def counted(self, model, batch):
    taken.append(1)
    if sum(taken) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return loss(self, model, batch)
Classify.loss = counted
from convatlas.models.registry import find_entry
from convatlas.pipeline import run_fit
run_fit.pareto_front = lambda networks: [find_entry(each) for each in sys.argv[2].split()]
for cls in (FitStates, Checkpoints):
    cls.__init__.__kwdefaults__["max_cost"] = 1e9
from convatlas.cli.main import main
main(sys.argv[3:])
"""


class Killed(BaseException):
    """Ends a process as a kill does: nothing of it is tidied up."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_images(
        tmp_path_factory.mktemp("resume fit") / "photos", classes=2, per_class=30, size=28
    )


def patch_job(patched):
    """Choose between few networks; what follows training is tested elsewhere."""
    patched.setattr(module, "pareto_front", lambda _: [find_entry(name) for name in NETWORKS])
    patched.setattr(module, "finish", lambda *_, **__: None)
    patched.setattr("convatlas.pipeline.keeping.TIMING_S", 0.01)
    for place in ("run_fit", "expect_end"):
        patched.setattr(f"convatlas.pipeline.{place}.slowdown", lambda: 1.0)


@pytest.fixture(autouse=True)
def each_state_is_written(monkeypatch):
    """Whatever it costs."""
    patch_job(monkeypatch)
    for cls in (FitStates, Checkpoints):
        monkeypatch.setitem(cls.__init__.__kwdefaults__, "max_cost", 1e9)
    monkeypatch.setitem(Checkpoints.__init__.__kwdefaults__, "every_s", 0.0)


def ended(photos, out, at, how):
    """Fit, and do something at a training step, counted from 0 over all turns."""
    taken, loss = [], Classify.loss

    def counted(self, model, batch):
        if model.training:
            if len(taken) == at:
                how()
            taken.append(1)
        return loss(self, model, batch)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Classify, "loss", counted)
        return ca.fit(photos, out=out, **LIMITS)


def kill():
    raise Killed


def killed_after_training(photos, out, monkeypatch, **options):
    with monkeypatch.context() as patched:
        patched.setattr(module, "keep_winner", lambda *_, **__: kill())
        with pytest.raises(Killed):
            ca.fit(photos, out=out, **options)


def steps_taken(patched):
    """Count the training steps of each turn."""
    turns, train, loss = [], TrialRunner.train, Classify.loss

    def noted(self, *args, **options):
        turns.append(0)
        return train(self, *args, **options)

    def counted(self, model, batch):
        turns[-1] += model.training
        return loss(self, model, batch)

    patched.setattr(TrialRunner, "train", noted)
    patched.setattr(Classify, "loss", counted)
    return turns


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    """The unbroken run, and how many steps each of its turns took."""
    with pytest.MonkeyPatch.context() as patched:
        patch_job(patched)
        turns = steps_taken(patched)
        run = ca.fit(photos, out=tmp_path_factory.mktemp("runs") / "whole", **LIMITS)
    assert len(turns) >= 4
    assert turns[-1] > max(turns[:-1]) > 1
    assert not (run.path / CHECKPOINTS).exists()
    return run, turns


def same(run, whole):
    first, second = (load_file(each.files["weights"]) for each in (run, whole))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    clocks = {"seconds": 0.0, "latency_s": 0.0}
    boards = [[t.model_copy(update=clocks) for t in r.config.leaderboard] for r in (run, whole)]
    assert boards[0] == boards[1]
    for name in ("validation", "call", "recipe", "model", "finished", "training"):
        assert getattr(run.config, name) == getattr(whole.config, name)
    logs = [
        [
            {key: value for key, value in json.loads(line).items() if key != "seconds"}
            for line in (each.path / "log.jsonl").read_text().splitlines()
        ]
        for each in (run, whole)
    ]
    assert logs[0] == logs[1]
    assert {path.name for path in run.path.iterdir()} == set(run.config.written or ())
    assert CHECKPOINTS not in run.config.written


@pytest.mark.slow
@pytest.mark.parametrize("place", ["first trial", "between", "final", "over"])
def test_a_killed_fit_goes_on_to_the_same_end(photos, whole, tmp_path, monkeypatch, place):
    unbroken, turns = whole
    out, heard = tmp_path / "run", Heard()
    at = {"first trial": 2, "between": turns[0], "final": sum(turns) - turns[-1] // 2}
    if place == "over":
        killed_after_training(photos, out, monkeypatch, **LIMITS)
    else:
        with pytest.raises(Killed):
            ended(photos, out, at[place], kill)
    assert not (out / "run.json").exists()
    with pytest.raises(UsageError, match=r"`convatlas resume .*` goes on with it, --force"):
        ca.fit(photos, out=out, **LIMITS)
    with monkeypatch.context() as patched:
        again = steps_taken(patched)
        run = ca.resume(out, progress=heard)
    same(run, unbroken)
    left = {
        "first trial": [turns[0] - 2, *turns[1:]],
        "between": turns[1:],
        "final": [turns[-1] // 2],
        "over": [],
    }
    assert again == left[place]
    says = {
        "first trial": "0 of 3 networks were trained before; going on with l",
        "between": "1 of 3 networks were trained before; going on with l",
        "final": "all 3 networks were trained before; going on with final training: l",
        "over": "all training was over",
    }
    assert any(line.startswith(says[place]) for line in heard.lines)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_keeps_what_was_reached_and_the_fit_goes_on(photos, whole, tmp_path, number):
    unbroken, turns = whole
    at = turns[0] + 1 if number == signal.SIGTERM else sum(turns) - 5
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        run = ended(photos, tmp_path / "run", at, lambda: signal.raise_signal(number))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (run.config.finished, run.stopped, run.can_go_on) == ("interrupted", number, True)
    assert run.config.validation
    assert run.files["weights"].exists()
    with pytest.raises(UsageError, match="already has a run"):
        ca.fit(photos, out=run.path, **LIMITS)
    run = ca.resume(run.path)
    same(run, unbroken)
    assert not run.can_go_on


@pytest.mark.slow
def test_a_damaged_state_costs_the_turn_after_the_one_before(photos, whole, tmp_path, monkeypatch):
    unbroken, turns = whole
    out, heard = tmp_path / "run", Heard()
    with pytest.raises(Killed):
        ended(photos, out, sum(turns[:2]), kill)
    newest = sorted((out / BUILDING / CHECKPOINTS / TRIALS).glob("step-*"))[-1]
    (newest / "tensors.safetensors").write_bytes(b"")
    with monkeypatch.context() as patched:
        again = steps_taken(patched)
        run = ca.resume(out, progress=heard)
    assert again == turns[1:]
    assert any("the state before it is taken" in line for line in heard.lines)
    same(run, unbroken)


@pytest.mark.slow
def test_a_fit_killed_by_the_system_goes_on_with_the_same_data_only(photos, whole, tmp_path):
    unbroken, turns = whole
    out = tmp_path / "run"
    options = ["--epochs", "5", "--max-trials", "3", "--batch", "8"]
    words = ["fit", str(photos), "--out", str(out), *options]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(turns[0] + 1), " ".join(NETWORKS), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    moved = shutil.copytree(photos, tmp_path / "moved")
    file = next(moved.rglob("*.png"))
    file.rename(file.with_name("other.png"))
    with pytest.raises(DataError, match=r"not what the run began with \(splits"):
        ca.resume(out, data=moved)
    same(ca.resume(out), unbroken)
    with pytest.raises(DataError, match="no run here"):
        ca.resume(tmp_path)


@pytest.mark.slow
def test_the_time_before_counts(photos, tmp_path, monkeypatch):
    out = tmp_path / "run"
    limits = {"max_trials": 2, "time_limit_s": 40}
    begun = time.perf_counter() - 15
    killed_after_training(photos, out, monkeypatch, started=begun, **limits)
    state = FitStates(out / BUILDING / CHECKPOINTS).newest()
    assert state is not None
    assert 20 < state.spent_s < 50
    left = []
    with monkeypatch.context() as patched:
        patched.setattr(module, "expect_end", lambda runner, trials, d: left.append(d.left()))
        run = ca.resume(out)
    assert left[0] < 40 - state.spent_s
    trained = {turn.trial: turn.record.epochs for turn in state.turns}  # of the last turn of each
    assert sorted(t.epochs for t in run.leaderboard[:2]) == sorted(trained.values())


def test_what_was_asked_is_read_as_it_was_written(tmp_path):
    options = {"value_range": (0, 4095), "metric": "balanced_accuracy"}
    for recipe in (None, Recipe(lr=0.1), {"lr": 0.1, "betas": (0.8, 0.9)}):
        job = FitJob(
            "digits", Budget(params=1e6), recipe=recipe, epochs=3, options=options, call={"a": [1]}
        )
        job.save(tmp_path)
        assert read_fit_job(tmp_path) == job


def test_a_state_is_read_as_it_was_written(tmp_path):
    states = FitStates(tmp_path)
    assert states.newest() is None
    state = FitState({"seconds": None}, 1.5, log=[{"epoch": 1.0}])
    assert states.save(state, {})
    assert FitStates(tmp_path).newest() == state
