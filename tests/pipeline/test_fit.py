"""The main job end to end on real digits in files."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import convatlas as ca
from convatlas.data import load_split
from convatlas.deploy.onnx_file import OnnxFile
from convatlas.errors import BudgetError, DataError, UnknownNameError, UsageError
from convatlas.pipeline.config import FILE_NAMES, RunConfig
from convatlas.pipeline.fit import fit
from convatlas.pipeline.run import open_run

pytestmark = pytest.mark.slow


def test_the_winner_keeps_to_the_budget_by_an_own_count(run):
    cost = ca.count(run.model(), (1, *run.config.input))
    assert (run.config.params, run.config.macs) == (cost.params, cost.macs)
    assert cost.params <= run.config.budget.params == 80_000
    assert cost.macs <= run.config.budget.macs == 1.5e6
    assert sum(p.numel() for p in run.model().parameters()) == cost.params


def test_it_learnt(run):
    assert run.config.value > 0.6  # ten classes, 280 training images, seconds


def test_accuracy_is_that_of_the_weights_on_the_stored_test_split(run):
    split = load_split(run.path / FILE_NAMES["split"]).splits["test"]
    right = 0
    for index, label in enumerate(split.labels):
        image = split.read(index).permute(1, 2, 0)[None]
        right += int(run.predictor()(image).argmax()) == label
    assert run.config.value == pytest.approx(right / len(split))
    assert run.evaluate().accuracy == run.config.value


def test_the_broken_file_is_named_and_skipped(run):
    scan = json.loads((run.path / FILE_NAMES["scan"]).read_text())
    assert [file for file, _ in scan["broken"]] == ["digit 3/broken.png"]
    stored = json.loads((run.path / FILE_NAMES["split"]).read_text())
    files = [file for part in stored["splits"].values() for file in part["files"]]
    assert len(files) == len(set(files)) == 400


def test_leaderboard_holds_every_candidate_with_its_outcome(run):
    board = run.leaderboard
    assert board[0].status == "chosen"
    assert board[0].model == run.config.model
    assert sum(entry.status == "chosen" for entry in board) == 1
    assert {entry.model for entry in board} >= {"lenet5", "resnet20_cifar", "mobilenet_v2"}
    for entry in board:
        if entry.status == "over budget":
            assert entry.reason
        if entry.figures:
            assert entry.params <= 80_000
            assert entry.macs <= 1.5e6


def test_exported_file_answers_the_same_from_the_files_themselves(run, digit_files):
    onnx = OnnxFile(run.path / FILE_NAMES["onnx"])
    assert onnx.classes == run.config.facts["classes"] == [f"digit {i}" for i in range(10)]
    files = sorted(digit_files.rglob("0*.png"))[:30]
    predictions = run.predict(files)
    for file, prediction in zip(files, predictions, strict=True):
        pixels = np.asarray(Image.open(file))[None, :, :, None]
        row = onnx.run(torch.tensor(pixels))[0]
        assert onnx.classes[int(row.argmax())] == prediction.label
        assert float(row.max()) == pytest.approx(prediction.probability, abs=1e-4)
    assert run.config.proof.agreement == 1.0
    assert run.config.file_bytes == (run.path / FILE_NAMES["onnx"]).stat().st_size


def test_log_is_there_in_both_forms(run):
    rows = [json.loads(x) for x in (run.path / FILE_NAMES["log"]).read_text().splitlines()]
    with (run.path / FILE_NAMES["log_csv"]).open() as file:
        assert [float(row["val_accuracy"]) for row in csv.DictReader(file)] == [
            row["val_accuracy"] for row in rows
        ]
    kept = [row for row in rows if row["epoch"] == rows[-1]["kept_epoch"]]
    assert (
        kept[0]["val_accuracy"] <= run.config.validation["accuracy"] + 1e-6
    )  # an earlier round may be it


def test_report_names_network_and_every_class(run):
    page = (run.path / FILE_NAMES["report"]).read_text(encoding="utf-8")
    assert run.config.model in page
    assert all(name in page for name in run.config.facts["classes"])


def test_reopened_run_is_the_same(run, digit_files):
    again = open_run(run.path)
    assert again.config == run.config
    file = next(digit_files.rglob("0*.png"))
    assert again.predict([file]) == run.predict([file])


def test_prediction_of_a_bad_file_is_an_error_and_not_a_stop(run, digit_files):
    good = next(digit_files.rglob("0*.png"))
    bad, fine = run.predict([digit_files / "digit 3" / "broken.png", good])
    assert bad.label is None
    assert "broken.png" in bad.error
    assert fine.error is None


def test_evaluating_on_other_classes_is_refused(run, tmp_path):
    for name in ("digit 1", "cat"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("L", (28, 28), 40 * number).save(tmp_path / name / f"{number}.png")
    with pytest.raises(DataError, match="cat"):
        run.evaluate(tmp_path)


def test_a_run_holds_nothing_unfinished(run):
    names = {path.name for path in run.path.iterdir()}
    assert names <= {*FILE_NAMES.values(), "tensorboard"}
    assert RunConfig.load(run.path).finished == "yes"


def test_no_network_fits_and_nothing_is_written(digit_files, tmp_path):
    with pytest.raises(BudgetError, match=r"no network meets the budget; nearest: \w+ at") as no:
        fit(digit_files, budget=ca.Budget(params=100), out=tmp_path / "run")
    assert "x the budget" in str(no.value)
    assert not (tmp_path / "run").exists()


def test_a_latency_that_nothing_meets_is_measured_and_said(digit_files, tmp_path):
    budget = ca.Budget(params=20_000, latency_s=1e-9)
    with pytest.raises(BudgetError, match="latency_s"):
        fit(digit_files, budget=budget, out=tmp_path / "run", model="linear_classifier")


def test_file_size_limit_holds_for_the_file_itself(digit_files, tmp_path):
    budget = ca.Budget(file_bytes=60_000)
    small = fit(
        digit_files, budget=budget, out=tmp_path / "r", model="linear_classifier", time_limit_s=5
    )
    assert (small.path / "model.onnx").stat().st_size <= 60_000


def test_bad_options_stop_before_anything_is_read(digit_files, tmp_path):
    with pytest.raises(UnknownNameError, match="nearest: lenet5"):
        fit(digit_files, model="lenet55", out=tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        fit(digit_files, out=tmp_path / "file")


def test_data_errors_leave_nothing_behind(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError):
        fit(tmp_path / "data", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
