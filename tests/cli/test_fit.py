"""The verbs of a run through the real entry point; as a program where the process counts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convatlas.data import make_images

CONVATLAS = Path(sys.executable).with_name("convatlas")
pytestmark = pytest.mark.slow


def as_a_program(*words, **options):
    return subprocess.run(
        [CONVATLAS, *map(str, words)], capture_output=True, text=True, timeout=300, **options
    )


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "shapes", per_class=30, size=32)


@pytest.fixture(scope="module")
def fitted(shapes, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "shapes"
    done = as_a_program(
        *("fit", shapes, "--model", "lenet5_modern", "--max-params", "100k", "--time-limit", "15s"),
        *("--out", out, "--json"),
    )
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_fit_prints_one_json_object_with_the_agreed_keys(fitted):
    out, answer = fitted
    agreed = "run model options input budget params macs latency_s file_bytes accuracy leaderboard"
    assert {*agreed.split(), "files"} <= answer.keys()
    assert {"report", "weights", "onnx", "config", "log"} <= answer["files"].keys()
    line = answer["leaderboard"][0]
    assert {"model", "options", "params", "macs", "latency_s", "accuracy", "status"} <= line.keys()
    assert answer["run"] == str(out)
    assert answer["params"] <= 100_000
    assert all(Path(path).exists() for path in answer["files"].values())


def test_evaluate_agrees_with_fit(convatlas, fitted):
    out, answer = fitted
    done = convatlas("evaluate", out, "--json")
    evaluated = json.loads(done.out)
    assert evaluated["accuracy"] == answer["accuracy"]
    assert sum(map(sum, evaluated["confusion"])) == evaluated["images"]
    text = convatlas("evaluate", out).out
    assert f"accuracy {answer['accuracy']:.2%}" in text


def test_evaluate_takes_ten_crops_and_no_other_number(convatlas, fitted):
    run, _ = fitted
    done = convatlas("evaluate", run, "--crops", "10", "--json")
    assert done.code == 0, done.err
    assert done.json["crops"] == 10
    refused = convatlas("evaluate", run, "--crops", "5")
    assert refused.code == 2
    assert "crops must be 1 or 10, got 5" in refused.err


def test_predict_answers_good_files_and_names_bad_ones(convatlas, fitted, shapes, tmp_path):
    out, _ = fitted
    (tmp_path / "bad\nname.png").write_bytes(b"nonsense")
    good = next(path for path in sorted(shapes.rglob("*")) if path.is_file())
    done = convatlas("predict", out, good, tmp_path / "bad\nname.png", "--json")
    assert done.code == 0
    first, second = json.loads(done.out)["predictions"]
    assert first["label"] in {path.name for path in shapes.iterdir()}
    assert sum(first["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert second["label"] is None
    assert "bad" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_predict_with_no_readable_file_fails(convatlas, fitted, tmp_path):
    done = convatlas("predict", fitted[0], tmp_path / "missing.png")
    assert done.code == 3
    assert "missing.png" in done.err


def test_export_writes_a_proved_file_elsewhere(convatlas, fitted, tmp_path):
    done = convatlas(
        "export", fitted[0], "--format", "onnx", "--out", tmp_path / "m.onnx", "--json"
    )
    answer = json.loads(done.out)
    assert answer["proof"]["agreement"] == 1.0
    assert answer["file_bytes"] == (tmp_path / "m.onnx").stat().st_size


def test_unknown_format_is_a_usage_error(convatlas, fitted):
    done = convatlas("export", fitted[0], "--format", "onxn")
    assert done.code == 2
    assert "nearest: onnx" in done.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--max-params", "banana"], 2, "--max-params"),
        (["--max-params", "-5"], 2, "--max-params"),
        (["--model", "mobilenetv2"], 2, "nearest: mobilenet_v2"),
        (["--model", "unet_small", "--task", "classify"], 2, "unet_small is for the task segment"),
        (["--model", "mitas", "--task", "classify"], 2, "mitas is for the task separate, not for"),
        (["--max-params", "50"], 4, "no network meets the budget; nearest"),
    ],
)
def test_exit_codes_of_fit(convatlas, shapes, tmp_path, words, code, says):
    done = convatlas("fit", shapes, *words, "--out", tmp_path / "run")
    assert done.code == code
    assert says in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_unless_forced(convatlas, fitted, shapes):
    done = convatlas("fit", shapes, "--out", fitted[0])
    assert done.code == 2
    assert "--force" in done.err


@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_a_folder_without_a_run_is_named(convatlas, verb, tmp_path):
    done = convatlas(verb, tmp_path)
    assert done.code == 3
    assert str(tmp_path) in done.err


def test_missing_data_is_exit_3(convatlas, tmp_path):
    done = convatlas("fit", tmp_path / "nowhere")
    assert done.code == 3
    assert "nowhere" in done.err


# That the others are heard as these are, is shown in one process (`train/test_stop.py`).
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_reached(number, shapes, tmp_path):
    out = tmp_path / "run"
    command = [CONVATLAS, "fit", shapes, "--model", "lenet5_modern", "--time-limit", "2m"]
    job = subprocess.Popen(
        [*command, "--out", out],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # `nohup` and background jobs of a script ignore some signals, and so would this one.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        wait_for(lambda: (out / ".convatlas-building" / "log.jsonl").exists())
        os.kill(job.pid, number)
        stdout, stderr = job.communicate(timeout=200)
    finally:
        job.kill()
    assert job.returncode == 128 + number, stderr
    assert "stopping after this step; Ctrl-C again to exit at once" in stderr
    assert "interrupted" in stdout
    config = json.loads((out / "run.json").read_text())
    assert config["finished"] == "interrupted"
    assert sorted(path.name for path in out.iterdir()) == config["written"]
    if number != signal.SIGINT:  # a process that is ended gets little time
        assert config["steps"]["test"] == "not done: stopped before"
        done = as_a_program("report", out)
        assert done.returncode == 0, done.stderr
    config = json.loads((out / "run.json").read_text())
    assert config["proof"]["agreement"] == 1.0
    assert config["steps"] == {"test": "done", "export": "done", "report": "done"}
    assert (out / "report.html").exists()


def test_a_signal_before_training_leaves_nothing(shapes, tmp_path):
    out = tmp_path / "run"
    job = subprocess.Popen(
        [CONVATLAS, "fit", shapes, "--out", out], stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for((out / ".convatlas-building").exists)
        os.kill(job.pid, signal.SIGTERM)
        _, stderr = job.communicate(timeout=200)
    finally:
        job.kill()
    assert job.returncode == 143, stderr
    assert "stopped before any network was trained" in stderr
    assert "Traceback" not in stderr
    assert not out.exists()


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def test_public_weights_that_there_are_not_stop_before_anything_is_read(convatlas, tmp_path):
    done = convatlas("fit", tmp_path / "nothing", "--pretrained", "yes", "--model", "lenet5")
    assert done.code == 2
    assert "no public weights are known for 'lenet5'" in done.err
