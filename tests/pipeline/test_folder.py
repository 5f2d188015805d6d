import json
import os
import subprocess
import sys

import pytest

from convatlas.errors import UsageError
from convatlas.pipeline import folder as folder_module
from convatlas.pipeline.folder import (
    BUILDING,
    LOCK,
    check_folder,
    claimed,
    claimed_free,
    free_folder,
)

OURS = {"leaderboard": [], "recipe": {}, "model": "small_net"}


@pytest.fixture
def earlier(tmp_path):
    """A folder with a run of ours and a note of the user's."""
    run = tmp_path / "run"
    run.mkdir()
    written = ["model.onnx", "run.json", "weights.safetensors"]
    (run / "run.json").write_text(json.dumps(OURS | {"written": written}))
    (run / "weights.safetensors").write_text("old weights")
    (run / "model.onnx").write_text("old export")
    (run / "my notes.txt").write_text("keep")
    return run


class Config:
    """Stands for a `RunConfig`."""

    written = None

    def save(self, folder):
        (folder / "run.json").write_text(json.dumps(OURS | {"written": self.written, "new": 1}))


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def break_off(path, force=False):
    """A run that writes something and then fails."""
    with claimed(path, force=force) as claim:
        (claim.building / "log.csv").write_text("half")
        raise RuntimeError


HOLD = """
import sys, time
from pathlib import Path
from convatlas.errors import UsageError
from convatlas.pipeline.folder import claimed
try:
    with claimed(Path(sys.argv[1]), force=False):
        print("held", flush=True)
        sys.stdin.readline()
except UsageError as error:
    print(error, flush=True)
"""


def holder(path):
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_of_several_that_start_at_once_one_gets_the_folder(tmp_path):
    jobs = [holder(tmp_path / "run") for _ in range(3)]
    said = [job.stdout.readline() for job in jobs]
    assert said.count("held\n") == 1
    assert all(str(tmp_path / "run" / LOCK) in line for line in said if line != "held\n")
    for job in jobs:
        job.communicate("\n", timeout=60)


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    job = holder(tmp_path / "run")
    assert job.stdout.readline() == "held\n"
    job.kill()
    job.communicate()
    assert (tmp_path / "run" / LOCK).exists()
    with claimed(tmp_path / "run", force=False) as claim:
        assert list(claim.building.iterdir()) == []
    assert not (tmp_path / "run").exists()


def test_an_earlier_run_is_there_until_the_new_one_is(earlier):
    before = contents(earlier)
    with pytest.raises(UsageError, match="--force"):
        check_folder(earlier, force=False)
    with pytest.raises(RuntimeError):
        break_off(earlier, force=True)
    assert contents(earlier) == before
    with claimed(earlier, force=True) as claim:
        assert contents(earlier) == before | {LOCK: ""}
        (claim.building / "weights.safetensors").write_text("new weights")
        claim.publish(Config())
    after = contents(earlier)
    assert after["weights.safetensors"] == "new weights"
    assert json.loads(after["run.json"])["written"] == ["run.json", "weights.safetensors"]
    assert after["my notes.txt"] == "keep"
    assert "model.onnx" not in after  # of the earlier network
    assert sorted(path.name for path in earlier.iterdir()) == sorted(after)


NAMES = "model.onnx report.html log.csv log.jsonl split.json scan.json weights.safetensors run.json"


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", [*NAMES.split(), "tensorboard"])
def test_what_no_run_of_ours_wrote_is_refused_by_name(tmp_path, name, force):
    if name == "tensorboard":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"contains {name}, which convatlas did not write"):
        check_folder(tmp_path, force=force)


def test_a_file_that_came_to_a_run_later_is_the_users(earlier):
    (earlier / "report.html").write_text("mine")
    with pytest.raises(UsageError, match=r"contains report\.html, which convatlas did not"):
        check_folder(earlier, force=True)


def test_a_run_of_before_runs_noted_their_files_is_replaced(earlier):
    (earlier / "run.json").write_text(json.dumps(OURS))
    (earlier / "report.html").write_text("old report")
    with claimed(earlier, force=True) as claim:
        claim.publish(Config())
    assert sorted(contents(earlier)) == ["my notes.txt", "run.json"]


def test_a_publication_that_is_cut_off_loses_neither_run(earlier, monkeypatch):
    """Nothing of the earlier run is removed before all of the new one is in its place."""
    replace, moved = os.replace, []

    def cut_off(source, target):
        if moved:
            raise OSError("the disk is gone")
        moved.append(target)
        replace(source, target)

    with claimed(earlier, force=True) as claim:
        (claim.building / "weights.safetensors").write_text("new weights")
        monkeypatch.setattr(folder_module.os, "replace", cut_off)
        with pytest.raises(OSError, match="the disk is gone"):
            claim.publish(Config())
        monkeypatch.undo()
    assert contents(earlier)["model.onnx"] == "old export"
    assert contents(earlier)["weights.safetensors"] == "new weights"  # told by `created`


def test_data_where_a_run_is_written_are_refused(tmp_path):
    (tmp_path / "tensorboard" / "cat").mkdir(parents=True)
    with pytest.raises(UsageError, match="is where a run would be written"):
        check_folder(tmp_path, force=True, data=tmp_path / "tensorboard")
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="contains tensorboard"):
        check_folder(tmp_path, force=True, data=tmp_path / "photos")


@pytest.mark.parametrize("place", [".", "run", "deep/er"])
def test_a_run_within_its_data_is_refused(tmp_path, place):
    with pytest.raises(UsageError, match="is inside the data folder"):
        check_folder(tmp_path / place, force=True, data=tmp_path)
    check_folder(tmp_path / place, force=True, data=tmp_path / "images")


def test_a_run_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError):
        break_off(tmp_path / "a" / "run")
    assert not (tmp_path / "a" / "run").exists()


def test_a_run_that_fails_keeps_what_the_user_had(tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(RuntimeError):
        break_off(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_a_killed_process_had_begun_is_cleared(tmp_path):
    (tmp_path / BUILDING).mkdir()
    (tmp_path / BUILDING / "log.csv").write_text("half")
    with claimed(tmp_path, force=False) as claim:
        assert list(claim.building.iterdir()) == []


def test_too_little_space_is_said_before_training(tmp_path, monkeypatch):
    usage = folder_module.shutil.disk_usage(tmp_path)._replace(free=50 << 20)
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda path: usage)
    with claimed(tmp_path / "run", force=False) as claim:
        claim.check_space(5 << 20)
        with pytest.raises(UsageError, match="50 MiB are free there, and the run may need 330 MiB"):
            claim.check_space(100 << 20)


def test_no_permission_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UsageError, match="no permission to write"):
        check_folder(tmp_path / "run", force=False)


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(UsageError, match="cannot be used: File name too long"):
        check_folder(tmp_path / ("x" * 300), force=False)


def test_names_of_data_become_names_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(free_folder("my photos/é")) == "runs/my-photos-é"
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    assert str(free_folder("digits")) == "runs/digits-2"
    with claimed_free("digits") as first, claimed_free("digits") as second:
        assert [first.folder.name, second.folder.name] == ["digits-2", "digits-3"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits"]
