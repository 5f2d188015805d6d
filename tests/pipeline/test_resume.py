"""A run that was killed, or stopped by a signal, goes on and ends as one that was not."""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest
from safetensors.torch import load_file

import convatlas as ca
from convatlas.data import make_images
from convatlas.errors import DataError, UsageError
from convatlas.pipeline import train_one as module
from convatlas.pipeline.folder import BUILDING
from convatlas.pipeline.job_file import job_file
from convatlas.pipeline.train_job import TrainJob, read_job
from convatlas.pipeline.train_one import train_one
from convatlas.pipeline.training_plan import find_recipe
from convatlas.train.checkpoints import BEST, complete_checkpoints

RECIPE = """
source: by hand
network: lenet5
options: {}
training: {optimizer: adamw, lr: 0.01, epochs: 4, batch_size: 8, ema_decay: 0.9, warmup: 0.1}
data: {augmentation: tiny, mixup: 0.3, label_smoothing: 0.1}
"""
# A process of its own that sends itself a signal in the midst of a step.
CHILD = """
import os, sys
from convatlas.train import checkpoints
from convatlas.train.tasks.classify import Classify
loss, ends_at, number, taken = Classify.loss, int(sys.argv[1]), int(sys.argv[2]), []
def counted(self, model, batch):
    if model.training:
        taken.append(1)
        if len(taken) == ends_at:
            os.kill(os.getpid(), number)
    return loss(self, model, batch)
Classify.loss = counted
checkpoints.Checkpoints.__init__.__kwdefaults__["max_cost"] = 1e9
from convatlas.cli.main import main
main(sys.argv[3:])
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    (folder / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    return make_images(folder / "photos", classes=2, per_class=30, size=28)


@pytest.fixture(autouse=True)
def trained_only(monkeypatch):
    """What follows training is tested elsewhere, and takes longer than these trainings."""
    monkeypatch.setattr(module, "finish", lambda *_, **__: None)


def recipe(photos):
    return find_recipe(photos.parent / "mine.yaml")


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "finish", lambda *_, **__: None)
        return train_one(recipe(photos), photos, out=tmp_path_factory.mktemp("runs") / "whole")


def child(photos, out, *, ends_at, number):
    words = [
        "train",
        photos.parent / "mine.yaml",
        photos,
        "--out",
        out,
        "--checkpoint-every",
        "1ms",
    ]
    return subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, (ends_at, int(number), *words))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def timeless(path):
    rows = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def same_runs(run, whole):
    first, second = (load_file(each.files["weights"]) for each in (run, whole))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    assert run.config.validation == whole.config.validation
    assert run.config.call == whole.config.call
    assert timeless(run.path) == timeless(whole.path)


@pytest.mark.slow
@pytest.mark.parametrize("ends_at", [2, 14])
def test_a_killed_run_goes_on_to_the_same_end(photos, whole, tmp_path, ends_at):
    out = tmp_path / "run"
    ended = child(photos, out, ends_at=ends_at, number=signal.SIGKILL)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert complete_checkpoints(out / BUILDING / "checkpoints")
    with pytest.raises(UsageError, match=r"`convatlas resume .*` goes on with it, --force"):
        train_one(recipe(photos), photos, out=out)
    run = ca.resume(out)
    same_runs(run, whole)
    assert not run.can_go_on
    assert {path.name for path in out.iterdir()} == set(run.config.written or ())
    finished(run)
    with pytest.raises(UsageError, match="nothing to go on with"):
        ca.resume(out)


def finished(run):
    run.config.finished = "yes"
    run.config.steps = dict.fromkeys(run.config.steps, "done")
    run.config.save(run.path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_acknowledged_and_the_run_goes_on(photos, whole, tmp_path, number):
    out, ends_at = tmp_path / "run", 9 if number == signal.SIGTERM else 2
    ended = child(photos, out, ends_at=ends_at, number=number)
    assert ended.returncode == 128 + number, ended.stderr
    said = "stopping after this step; Ctrl-C again to exit at once; the last checkpoint is kept"
    assert said in ended.stderr
    if ends_at == 9:  # validated once: there is a network to keep
        run = ca.open_run(out)
        assert (run.config.finished, run.can_go_on) == ("interrupted", True)
        assert f"convatlas resume {out}` goes on with the training" in ended.stdout
        assert run.config.steps["export"] == "not done: stopped before"
    else:
        assert f"convatlas resume {out}` goes on" in ended.stderr
        assert not (out / "run.json").exists()
    run = ca.resume(out)
    same_runs(run, whole)
    assert run.config.finished == "no"  # the test and the export are left out here
    assert not run.can_go_on


@pytest.fixture(scope="module")
def interrupted(photos, tmp_path_factory):
    """A run that an error ended in its second epoch."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patched:
        from convatlas.train.tasks.classify import Classify

        loss, taken = Classify.loss, []

        def counted(self, model, batch):
            taken.append(model.training)
            assert sum(taken) < 9, "power cut"
            return loss(self, model, batch)

        patched.setattr(Classify, "loss", counted)
        with pytest.raises(AssertionError, match="power cut"):
            train_one(recipe(photos), photos, out=out)
    return out


@pytest.mark.slow
def test_what_changed_meanwhile_is_refused(photos, interrupted, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(interrupted, out)
    moved = shutil.copytree(photos, tmp_path / "moved")
    next(moved.rglob("*.png")).unlink()
    with pytest.raises(DataError, match=r"not what the run began with \(splits"):
        ca.resume(out, data=moved)
    assert complete_checkpoints(out / BUILDING / "checkpoints")  # nothing is lost by that
    file = job_file(out / BUILDING)
    stored = json.loads(file.read_text())
    for change, says in [
        ({"verb": "search"}, "a run of 'search' cannot go on"),
        ({"recipe": {**stored["recipe"], "size": 24, "network": "lenet"}}, "lenet"),
    ]:
        file.write_text(json.dumps({**stored, **change}))
        with pytest.raises((DataError, KeyError), match=re.escape(says)):
            ca.resume(out)
    changed = {**stored["recipe"]["training"], "lr": 0.02}
    file.write_text(json.dumps({**stored, "recipe": {**stored["recipe"], "training": changed}}))
    with pytest.raises(DataError, match=r"is of another recipe: lr 0\.01 there, 0\.02 now"):
        ca.resume(out)
    file.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        ca.resume(out)


@pytest.mark.slow
def test_data_that_moved_are_taken_from_where_they_are(photos, interrupted, whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(interrupted, out)
    moved = shutil.copytree(photos, tmp_path / "photos")
    names = [path.name for path in complete_checkpoints(out / BUILDING / "checkpoints")]
    assert [name for name in names if name.startswith(BEST)]
    run = ca.resume(out, data=moved)
    same_runs(run, whole)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: no run here")):
        ca.resume(tmp_path)


def test_a_job_is_read_as_it_was_written(photos, tmp_path):
    job = TrainJob(recipe(photos), str(photos), teacher="runs/x", workers=2)
    job.save(tmp_path)
    assert read_job(tmp_path) == job
