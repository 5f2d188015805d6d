"""`bench`: the same network in every runtime; never how fast something was."""

import pytest
import torch

from convatlas.cost import count
from convatlas.deploy import runtimes
from convatlas.deploy.onnx_file import export_onnx
from convatlas.models import create_model
from convatlas.pipeline.config import RunConfig
from convatlas.pipeline.run import open_run
from convatlas.search.budget import Budget
from convatlas.train.weights import save_weights

QUICK = ("--seconds", "20ms", "--threads", "1")
MODEL, OPTIONS, SIZE = "lenet5_modern", {"width": 0.5, "in_channels": 1, "num_classes": 2}, 32


@pytest.mark.slow
def test_network_is_timed_in_torch_and_onnx_runtime(convatlas):
    answer = convatlas(
        "bench", "lenet5_modern", "width=0.5", "--input", "1x32x32", "--batch", 2, *QUICK, "--json"
    )
    assert answer.code == 0
    bench = answer.json
    assert (bench["model"], bench["run"], bench["input"]) == ("lenet5_modern", None, [1, 32, 32])
    assert (bench["batch"], bench["threads"]) == (2, 1)
    cost = count(create_model("lenet5_modern", width=0.5), (2, 1, 32, 32))
    assert (bench["params"], bench["macs"]) == (cost.params, cost.macs)
    assert bench["peak_bytes"] == cost.peak_bytes
    rows = {row["runtime"]: row for row in bench["runtimes"]}
    assert rows["torch eager"]["speed"] == 1
    assert bench["latency_s"] == rows["torch eager"]["latency_s"]
    for name in ("torch channels_last", "ONNX Runtime"):
        row = rows[name]
        assert 0 < row["p10_s"] <= row["latency_s"] <= row["p90_s"]
        assert row["speed"] == pytest.approx(bench["latency_s"] / row["latency_s"])
        assert row["items_per_s"] == pytest.approx(2 / row["latency_s"])
    assert rows["torch.compile"]["why"] == "not asked for: --compile"
    assert torch.get_num_threads() >= 1


def made_up(monkeypatch, **times):
    """Let `bench` find these times, one network for all; in tries as if the machine stayed busy."""
    named = {name.replace("_", " "): each for name, each in times.items()}

    def measured(*_, **__):
        return runtimes.RuntimeBenchmark(
            runtimes._rank(named, {}, threads=1, batch=1), None, 1, tries=3
        )

    monkeypatch.setattr(runtimes, "benchmark_runtimes", measured)


def rows_of(convatlas):
    answer = convatlas("bench", "lenet5_modern", "--json")
    return answer.json, {row["runtime"]: row for row in answer.json["runtimes"]}


def test_ratio_of_a_runtime_that_varies_too_much_is_marked(convatlas, monkeypatch):
    busy = [0.001] * 18 + [0.0021] * 2
    made_up(monkeypatch, torch_eager=[0.01] * 20, ONNX_Runtime=busy, OpenVINO=[0.005] * 20)
    bench, rows = rows_of(convatlas)
    assert {name: row["reliable"] for name, row in rows.items()} == {
        "torch eager": True,
        "ONNX Runtime": False,
        "OpenVINO": True,
    }
    assert rows["ONNX Runtime"]["doubt"] == "p90 is 2.10 times p10"
    assert bench["warnings"] == ["ONNX Runtime: speed unreliable, p90 is 2.10 times p10"]
    assert bench["tries"] == 3
    lines = convatlas("bench", "lenet5_modern").out.splitlines()
    (marked,) = [line for line in lines if line.startswith("ONNX Runtime")]
    assert "10.00x?" in marked
    assert "unreliable: p90 is 2.10 times p10" in marked
    (sure,) = [line for line in lines if line.startswith("OpenVINO")]
    assert "2.00x" in sure
    assert "?" not in sure
    assert any("timed 3 times" in line and "busy machine" in line for line in lines)


def test_where_eager_varies_no_ratio_is_reliable(convatlas, monkeypatch):
    made_up(monkeypatch, torch_eager=[0.01] * 18 + [0.9] * 2, ONNX_Runtime=[0.001] * 20)
    _, rows = rows_of(convatlas)
    assert [row["reliable"] for row in rows.values()] == [False, False]
    assert rows["ONNX Runtime"]["doubt"] == "torch eager's p90 is 90.00 times p10"


def test_exactly_twice_is_still_reliable(convatlas, monkeypatch):
    made_up(monkeypatch, torch_eager=[0.01] * 18 + [0.02] * 2)
    bench, rows = rows_of(convatlas)
    assert rows["torch eager"]["reliable"] is True
    assert bench["warnings"] == []
    assert "unreliable" not in convatlas("bench", "lenet5_modern").out


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run as `fit` leaves it, with weights that nobody trained."""
    folder = tmp_path_factory.mktemp("run")
    model = create_model(MODEL, **OPTIONS).eval()
    cost = count(model, (1, 1, SIZE, SIZE))
    RunConfig(
        version="0",
        created="now",
        task="classify",
        source="nowhere",
        seed=0,
        classes=["a", "b"],
        model=MODEL,
        options=OPTIONS,
        channels=1,
        size=SIZE,
        mean=[0.5],
        std=[0.25],
        budget=Budget(),
        recipe={},
        counts={},
        params=cost.params,
        macs=cost.macs,
        activation_bytes=cost.activation_bytes,
        peak_bytes=cost.peak_bytes,
        latency_s=0.001,
        threads=1,
    ).save(folder)
    save_weights(model, folder / "weights.safetensors", metadata={})
    return folder


def test_run_without_its_onnx_file_says_how_to_get_it(convatlas, run_folder):
    answer = convatlas("bench", run_folder)
    assert (answer.code, answer.out) == (3, "")
    assert f"`convatlas export {run_folder}` writes it" in answer.err


def test_damaged_onnx_file_of_a_run_is_named(convatlas, run_folder):
    path = run_folder / "model.onnx"
    path.write_bytes(b"cut short")
    try:
        answer = convatlas("bench", run_folder, *QUICK)
    finally:
        path.unlink()
    assert (answer.code, answer.out) == (1, "")
    assert f"error: {path}: damaged, or not a file that ONNX Runtime reads" in answer.err


@pytest.mark.slow
def test_run_is_timed_with_its_own_file_and_pre_processing(convatlas, run_folder):
    path = run_folder / "model.onnx"
    classifier = open_run(run_folder).predictor()
    export_onnx(classifier, path, metadata={})
    try:
        answer = convatlas("bench", run_folder, *QUICK)
        as_json = convatlas("bench", run_folder, *QUICK, "--json").json
    finally:
        path.unlink()
    assert answer.code == 0
    assert "lenet5_modern  input 1x32x32  batch 1  1 thread  CPU" in answer.out
    assert "trained network with pre-processing" in answer.out
    assert as_json["run"] == str(run_folder)
    assert as_json["macs"] == open_run(run_folder).config.macs
    timed = [row["runtime"] for row in as_json["runtimes"] if row["latency_s"]]
    assert {"torch eager", "ONNX Runtime"} <= set(timed)
    # Images are no maps of floats, whose channels could be turned last.
    assert "torch channels_last" not in timed


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["mobilenetv2"], 2, "no model 'mobilenetv2'; nearest: mobilenet_v2"),
        (["lenet5", "--batch", "0"], 2, "'--batch'"),
        (["lenet5", "--threads", "0"], 2, "'--threads'"),
        (["lenet5", "--threads", "100000"], 2, "'--threads'"),
        (["lenet5", "--batch", "9" * 30], 2, "'--batch'"),
        (["resnet18", "--input", "3x100000x100000"], 2, "of memory"),
        (["resnet18", "--input", "3x10000000000x10000000000"], 2, "resnet18 cannot take 3x"),
        (["lenet5", "--seconds", "never"], 2, "'--seconds': not a time: 'never'"),
        (["lenet5", "--input", "1x28x28"], 2, "lenet5 cannot take 1x28x28"),
    ],
)
def test_bad_usage_is_said_before_anything_is_timed(convatlas, args, code, message):
    answer = convatlas("bench", *args)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err


def test_folder_that_is_no_run_is_bad_data(convatlas, tmp_path):
    answer = convatlas("bench", tmp_path)
    assert answer.code == 3
    assert "no run here" in answer.err


def test_run_takes_no_options(convatlas, run_folder):
    answer = convatlas("bench", run_folder, "width=2")
    assert answer.code == 2
    assert "a run has its own options and input" in answer.err
