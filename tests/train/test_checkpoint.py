"""A checkpoint is whole or not there, says what it must be, and holds nothing that could run."""

import errno
import json
import os
import shutil

import pytest
import torch

from convatlas.errors import DataError, WriteError
from convatlas.train import checkpoint as module
from convatlas.train.checkpoint import (
    MANIFEST,
    SCHEMA,
    TENSORS,
    VALUES,
    DamagedCheckpoint,
    read_checkpoint,
    write_checkpoint,
)
from convatlas.train.checkpoints import Checkpoints

WEIGHTS = {"network/w": torch.arange(6.0).view(2, 3), "average/w": torch.ones(2)}


class Said(list):
    def __call__(self, text):
        self.append(text)


def test_what_was_written_is_read(tmp_path):
    shared = torch.rand(4, 3, 2, 2)
    tensors = {
        **WEIGHTS,
        "a/last": shared.to(memory_format=torch.channels_last),
        "b/row": shared[1],
        "c/again": shared,
        "d/bytes": torch.arange(5, dtype=torch.uint8),
        "e/none": torch.tensor(3),
    }
    values = {"step": 3, "nan": float("nan"), "rows": [{"a": 0.1}], "name": "ü"}
    write_checkpoint(tmp_path / "step-3", tensors, values)
    found = read_checkpoint(tmp_path / "step-3")
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found.tensors[name], tensor), name
    assert repr(found.values) == repr(values)
    assert found.part("network").keys() == {"w"}
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]


@pytest.mark.parametrize("name", [TENSORS, VALUES, MANIFEST])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_file_is_found(tmp_path, name, how):
    write_checkpoint(tmp_path / "step-3", WEIGHTS, {"step": 3})
    file = tmp_path / "step-3" / name
    data = file.read_bytes()
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(data[:-7] if how == "cut" else data[:-7] + bytes(7))
    with pytest.raises(DamagedCheckpoint, match="step-3"):
        read_checkpoint(tmp_path / "step-3")


def test_another_schema_is_refused_with_a_sentence(tmp_path):
    write_checkpoint(tmp_path / "step-3", WEIGHTS, {})
    file = tmp_path / "step-3" / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": SCHEMA + 1}))
    with pytest.raises(DataError, match=f"has schema {SCHEMA + 1} and this version .* reads"):
        Checkpoints(tmp_path).newest()


def test_nothing_in_a_checkpoint_is_executed(tmp_path, monkeypatch):
    import pickle

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    write_checkpoint(tmp_path / "step-3", WEIGHTS, {})
    file = tmp_path / "step-3" / TENSORS
    file.write_bytes(pickle.dumps(Trap()))
    manifest = json.loads((tmp_path / "step-3" / MANIFEST).read_text())
    manifest["files"][TENSORS] = module._described(file)  # as an attacker can
    (tmp_path / "step-3" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DamagedCheckpoint):
        read_checkpoint(tmp_path / "step-3")
    assert not (tmp_path / "sprung").exists()


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    for step, best in [(1, True), (2, False), (3, True), (4, False), (5, False), (6, False)]:
        assert checkpoints.save(step, WEIGHTS, {"step": step}, best=best)
    assert kept(tmp_path / "c") == ["best-step-000000003", "step-000000005", "step-000000006"]
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.values == {"step": 6}


def test_a_damaged_newest_one_gives_way_to_the_one_before(tmp_path):
    said = Said()
    checkpoints = Checkpoints(tmp_path, say=said)
    for step in (1, 2):
        checkpoints.save(step, WEIGHTS, {"step": step}, best=False)
    (tmp_path / "step-000000002" / TENSORS).write_bytes(b"")
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.values == {"step": 1}
    assert len(said) == 1
    assert "step-000000002" in said[0]


def test_what_a_killed_writer_left_is_no_checkpoint_and_goes_with_the_next(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, WEIGHTS, {"step": 1}, best=False)
    with monkeypatch.context() as patched:  # no `finally` runs in a process that is killed
        patched.setattr(os, "replace", lambda *_: os.kill(0, 0))
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        checkpoints.save(2, WEIGHTS, {"step": 2}, best=False)
    assert len(kept(tmp_path)) == 2
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.values == {"step": 1}
    checkpoints.save(3, WEIGHTS, {"step": 3}, best=False)
    assert kept(tmp_path) == ["step-000000001", "step-000000003"]


def test_a_full_disk_leaves_the_one_before_and_says_one_line(tmp_path, monkeypatch):
    said = Said()
    checkpoints = Checkpoints(tmp_path, say=said)
    assert checkpoints.save(1, WEIGHTS, {"step": 1}, best=False)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not checkpoints.save(2, WEIGHTS, {"step": 2}, best=False)
    assert not checkpoints.save(3, WEIGHTS, {"step": 3}, best=False)
    assert len(said) == 1
    assert "No space left on device; earlier ones stay" in said[0]
    assert kept(tmp_path) == ["step-000000001"]


def test_a_deleted_folder_is_said_and_not_made_again(tmp_path):
    said = Said()
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", say=said)
    assert not checkpoints.save(1, WEIGHTS, {}, best=False)
    assert len(said) == 1
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_way_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        write_checkpoint(tmp_path / "file" / "step-1", WEIGHTS, {})


def test_writing_takes_its_share_of_the_time_at_most(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("convatlas.train.checkpoints.time.perf_counter", lambda: now[0])
    checkpoints = Checkpoints(tmp_path, every_s=10.0, max_cost=0.02)

    def slow(*_):
        now[0] += 1.0  # a second for each

    monkeypatch.setattr("convatlas.train.checkpoints.write_checkpoint", slow)
    assert checkpoints.due(epoch_ends=True)
    assert not checkpoints.due(epoch_ends=False)
    checkpoints.save(1, WEIGHTS, {}, best=False)
    now[0] += 49.0
    assert not checkpoints.due(epoch_ends=True)
    now[0] += 1.5
    assert checkpoints.due(epoch_ends=True)
    assert checkpoints.due(epoch_ends=False)
