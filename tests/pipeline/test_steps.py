import json
import shutil

import pytest
import torch

from convatlas.data import load_split
from convatlas.errors import DataError, UsageError
from convatlas.pipeline import exporting, finishing
from convatlas.pipeline.finishing import rebuild
from convatlas.pipeline.run import open_run
from convatlas.pipeline.sample import load_sample, save_sample
from convatlas.tasks.classify import TASK
from convatlas.tasks.images import MAX_KEPT_SIDE
from heard import Heard

pytestmark = pytest.mark.slow


@pytest.fixture
def copied(run, tmp_path):
    """The session's run, in a folder of its own."""
    return open_run(shutil.copytree(run.path, tmp_path / "run"))


def stored(run):
    return json.loads((run.path / "run.json").read_text())


def test_a_finished_run_names_its_steps_and_its_files(run):
    config = stored(run)
    assert config["finished"] == "yes"
    assert config["steps"] == {"test": "done", "export": "done", "report": "done"}
    assert config["written"] == sorted(path.name for path in run.path.iterdir())


def test_a_report_that_cannot_be_written_costs_the_report_only(copied, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device")

    (copied.path / "report.html").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(finishing, "report_run", fail)
        heard = Heard()
        rebuild(copied, progress=heard)
    assert stored(copied)["finished"] == "no"
    assert "No space left on device" in stored(copied)["steps"]["report"]
    assert any("warning: report failed" in line for line in heard.lines)
    assert any("convatlas report" in line for line in heard.lines)
    rebuild(copied)
    assert stored(copied)["finished"] == "yes"
    assert (copied.path / "report.html").exists()


def test_the_verb_rebuilds_an_export_that_is_missing(copied, run):
    (copied.path / "model.onnx").unlink()
    (copied.path / "report.html").unlink()
    rebuild(copied)
    assert {"onnx", "report"} <= copied.files.keys()
    assert copied.config.proof.passed
    assert copied.config.value == run.config.value


def test_an_export_needs_no_photographs(copied, run):
    moved = run.config.source + "-moved"
    shutil.move(run.config.source, moved)
    try:
        _, proof = copied.export()
        assert proof.passed
        assert proof.samples == len(load_sample(copied.path / "sample.safetensors"))
        with pytest.raises(DataError, match="missing"):
            rebuild(copied)
        assert len(copied.evaluate(source=moved)) == run.config.counts["test"]
        rebuild(copied, source=moved)
        assert load_split(copied.path / "split.json", moved).splits["test"].files
    finally:
        shutil.move(moved, run.config.source)


def test_weights_of_another_run_are_refused(copied):
    config = copied.config
    config.created = "2001-01-01T00:00:00+00:00"
    config.save(copied.path)
    with pytest.raises(DataError, match="belongs to another run"):
        open_run(copied.path).model()


@pytest.mark.parametrize("name", ["photo.png", "run/run.json", "run/report.html", "."])
def test_an_export_replaces_nothing_but_an_export(copied, tmp_path, name):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG a picture of the user's")
    before = (copied.path / "run.json").read_bytes()
    with pytest.raises(UsageError, match="--out"):
        copied.export(path=tmp_path / name)
    assert (tmp_path / "photo.png").read_bytes().endswith(b"user's")
    assert (copied.path / "run.json").read_bytes() == before


def test_an_export_replaces_an_export(copied, tmp_path):
    for _ in range(2):
        path, _ = copied.export(path=tmp_path / "mine.onnx")
    assert path.stat().st_size > 1000


def test_an_export_is_proved_on_the_threads_that_the_network_is_fastest_with(copied, monkeypatch):
    used, check = [], exporting.check_parity

    def watched(*args, **options):
        used.append(torch.get_num_threads())
        return check(*args, **options)

    monkeypatch.setattr(exporting, "check_parity", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for threads in (1, 64):  # of a run that a larger machine made
            copied.config.threads = threads
            copied.export()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert used == [1, 2]


def test_a_damaged_export_of_the_run_is_written_again(copied):
    (copied.path / "model.onnx").write_bytes(b"cut short")
    path, proof = copied.export()
    assert proof.passed
    assert path.stat().st_size > 1000


def test_weights_have_the_permissions_of_any_new_file(run, tmp_path):
    (tmp_path / "plain").touch()
    modes = {path.stat().st_mode for path in run.path.iterdir() if path.is_file()}
    assert modes == {(tmp_path / "plain").stat().st_mode}


def test_large_images_are_cut_for_the_sample(tmp_path):
    import torch

    images = [torch.randint(0, 256, (700, 40, 3), dtype=torch.uint8) for _ in range(20)]
    save_sample(map(TASK.small, images), tmp_path / "sample.safetensors")
    kept = load_sample(tmp_path / "sample.safetensors")
    assert len(kept) == 16
    assert torch.equal(kept[3], images[3][94 : 94 + MAX_KEPT_SIDE])


def test_what_fails_after_training_costs_no_training(digit_files, tmp_path, monkeypatch):
    """The run folder is full when the weights shall be stored, and the report cannot be made."""
    import convatlas as ca
    from convatlas.errors import WriteError
    from convatlas.pipeline import keeping

    heard, tries, save = Heard(), [], keeping.save_weights

    def full_at_first(network, path, **options):
        tries.append(path)
        if len(tries) == 1:
            raise WriteError(f"{path}: cannot be written: No space left on device")
        save(network, path, **options)

    def fail(*args):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(keeping, "save_weights", full_at_first)
    monkeypatch.setattr(finishing, "report_run", fail)
    out = tmp_path / "run"
    kept = ca.fit(digit_files, model="linear_classifier", time_limit_s=8, out=out, progress=heard)
    try:
        assert any("No space left" in line and str(kept.path) in line for line in heard.lines)
        assert not out.exists()
        assert stored(kept)["steps"]["export"] == "done"
        assert stored(kept)["steps"]["report"] == "failed: RuntimeError: no fonts"
        assert open_run(kept.path).evaluate().accuracy == kept.config.value
    finally:
        shutil.rmtree(kept.path)


def test_an_export_does_not_replace_that_of_another_run(copied, run):
    before = (run.path / "model.onnx").read_bytes()
    with pytest.raises(UsageError, match="would replace a file of the run"):
        copied.export(path=run.path / "model.onnx")
    assert (run.path / "model.onnx").read_bytes() == before


def test_a_report_of_the_users_is_not_replaced(copied):
    copied.config.written = [n for n in copied.config.written if n != "report.html"]
    (copied.path / "report.html").write_text("mine")
    rebuild(copied)
    assert (copied.path / "report.html").read_text() == "mine"
    assert "move it away" in stored(copied)["steps"]["report"]
