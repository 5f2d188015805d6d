import os

import pytest

from convatlas.errors import UsageError
from convatlas.job.folder import LOCK, check_folder, claimed, free_folder


def break_off(path):
    """A run that writes something and then fails."""
    with claimed(path, force=False) as folder:
        (folder / "log.csv").write_text("half")
        raise RuntimeError


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        claimed(tmp_path / "run", force=False),
        pytest.raises(UsageError, match=f"in use by process {os.getpid()}"),
    ):
        check_folder(tmp_path / "run", force=True)


def test_a_lock_of_a_process_that_is_gone_does_not_hold(tmp_path):
    (tmp_path / LOCK).write_text("999999999")
    with claimed(tmp_path, force=False):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    assert not (tmp_path / LOCK).exists()


def test_a_finished_run_is_kept_unless_forced(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "my notes.txt").write_text("keep")
    with pytest.raises(UsageError, match="--force"):
        check_folder(tmp_path, force=False)
    with claimed(tmp_path, force=True):
        assert not (tmp_path / "run.json").exists()
    assert (tmp_path / "my notes.txt").read_text() == "keep"


def test_a_run_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError):
        break_off(tmp_path / "a" / "run")
    assert not (tmp_path / "a" / "run").exists()


def test_a_run_that_fails_keeps_what_the_user_had(tmp_path):
    (tmp_path / "notes.txt").write_text("keep")
    with pytest.raises(RuntimeError):
        break_off(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_no_permission_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(UsageError, match="no permission to write"):
        check_folder(tmp_path / "run", force=False)


def test_names_of_data_become_names_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(free_folder("my photos/é")) == "runs/my-photos-é"
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    assert str(free_folder("digits")) == "runs/digits-2"
