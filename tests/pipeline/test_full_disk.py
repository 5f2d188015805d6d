"""A run folder whose disk is full, which is only to be read, or which goes away: what is kept."""

import re
import shutil
import subprocess
import tempfile

import pytest
import torch
from safetensors.torch import load_file

import convatlas as ca
from convatlas.data import make_images
from convatlas.errors import UsageError
from convatlas.pipeline import train_one as module
from convatlas.pipeline.train_one import train_one
from convatlas.pipeline.training_plan import find_recipe
from convatlas.train.checkpoint import read_checkpoint
from convatlas.train.checkpoints import Checkpoints, complete_checkpoints
from convatlas.train.tasks.classify import Classify
from heard import Heard

RECIPE = """
source: by hand
network: lenet5
options: {}
training: {optimizer: adamw, lr: 0.01, epochs: 4, batch_size: 16, ema_decay: 0.9, warmup: 0.1}
data: {augmentation: tiny}
"""
STEPS = 3  # of an epoch
DISK = "48m"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    (folder / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    return make_images(folder / "photos", classes=2, per_class=30, size=28)


@pytest.fixture(autouse=True)
def checkpoints_always(monkeypatch):
    """Checkpoint after each step, whatever it costs; what follows training is tested elsewhere."""
    monkeypatch.setattr(module, "finish", lambda *_, **__: None)
    monkeypatch.setitem(Checkpoints.__init__.__kwdefaults__, "max_cost", 1e9)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    try:
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this user may mount nothing")
    except OSError:
        pytest.skip("there is no mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    """Leave no byte."""
    with (place / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def before_step(monkeypatch, actions):
    """Do things in the midst of steps, each once, by the steps' numbers from 1."""
    loss, taken = Classify.loss, []

    def counted(self, model, batch):
        if model.training:
            taken.append(1)
            actions.pop(len(taken), lambda: None)()
        return loss(self, model, batch)

    monkeypatch.setattr(Classify, "loss", counted)


def trained(photos, out, said):
    recipe = find_recipe(photos.parent / "mine.yaml")
    return train_one(recipe, photos, out=out, progress=said, checkpoint_every_s=0.0, device="cpu")


class Killed(BaseException):
    """Ends a run as a killed process ends."""


def killed():
    raise Killed


def test_a_disk_that_fills_up_keeps_the_checkpoint_before_and_resume_goes_on(
    photos, small_disk, monkeypatch
):
    whole = trained(photos, small_disk.parent / "whole", Heard())
    said, out = Heard(), small_disk / "run"
    before_step(monkeypatch, {2 * STEPS: lambda: fill(small_disk), 3 * STEPS: killed})
    with pytest.raises(Killed):
        trained(photos, out, said)
    (warning,) = (text for text in said.lines if "no checkpoint" in text)
    assert re.fullmatch(rf"warning: no checkpoint at step {2 * STEPS}: .*No space left.*", warning)
    kept = complete_checkpoints(next(small_disk.rglob("checkpoints")))
    steps = [read_checkpoint(path).values["result"]["steps"] for path in kept]
    assert max(steps) == 2 * STEPS - 1
    (small_disk / "ballast").unlink()
    ca.resume(out, device="cpu")
    first, second = (load_file(run / "weights.safetensors") for run in (whole.path, out))
    assert all(torch.equal(second[name], value) for name, value in first.items())


def test_a_run_whose_disk_is_full_at_its_end_is_kept_elsewhere(photos, small_disk, monkeypatch):
    elsewhere = small_disk.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    said, out = Heard(), small_disk / "run"
    before_step(monkeypatch, {2: lambda: fill(small_disk)})
    run = trained(photos, out, said)
    assert run.path.is_relative_to(elsewhere)
    assert (run.path / "weights.safetensors").exists()
    assert sum("No space left" in text and "is kept in" in text for text in said.lines) == 1


def test_a_read_only_disk_is_refused_before_anything_is_read(photos, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UsageError, match=r"disk/run: no permission to write"):
        trained(photos, small_disk / "run", said := Heard())
    assert not said.lines


def test_a_run_whose_folder_is_deleted_is_kept_elsewhere(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said, out = Heard(), tmp_path / "run"
    before_step(monkeypatch, {STEPS: lambda: shutil.rmtree(out)})
    run = trained(photos, out, said)
    assert run.path != out
    assert (run.path / "weights.safetensors").exists()
    assert sum("no checkpoint" in text for text in said.lines) == 1
    assert sum("is kept in" in text for text in said.lines) == 1
