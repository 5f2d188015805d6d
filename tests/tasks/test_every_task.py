"""What the main job promises holds for each task; the second one stands in the tests alone."""

import csv
import html
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import convatlas as ca
from convatlas.cli.main import main
from convatlas.deploy.onnx_file import OnnxFile
from convatlas.deploy.parity import check_parity
from convatlas.errors import DataError, UsageError
from convatlas.pipeline.run import open_run
from convatlas.tasks import TASKS, recognise_task

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def told(capsys, *words):
    """The JSON that a command prints."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--json"])
    assert not ended.value.code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def printed(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    assert not ended.value.code
    return capsys.readouterr().out


def test_its_data_tell_which_task_it_is(case):
    if case.task.name in ("generate", "reconstruct"):
        # Images without classes may have been meant to have some.
        with pytest.raises(UsageError, match="suits classify and generate; say which with --task"):
            recognise_task(case.data)
        return
    assert recognise_task(case.data).name == case.task.name == case.run.config.task


def test_it_learns_is_tested_exported_and_reported(case):
    config = case.run.config
    assert config.steps == {"test": "done", "export": "done", "report": "done"}
    assert config.finished == "yes"
    assert config.metric == case.task.metric
    assert config.proof.passed
    assert config.proof.items == case.task.items
    assert config.params > 0
    assert config.macs > 0
    assert set(case.run.files) >= {"config", "split", "weights", "onnx", "report", "log", "sample"}


def test_the_better_of_two_networks_is_chosen_whichever_way_its_metric_points(case):
    metric = case.task.metric
    trained = [t for t in case.run.leaderboard if t.figures and t.status != "diverged"]
    chosen = next(t for t in trained if t.status == "chosen")
    rounds = [t for t in trained if not t.status.startswith("dropped after round 1")]
    assert chosen in rounds
    assert all(metric.rank(chosen.value(metric)) >= metric.rank(t.value(metric)) for t in rounds)


def test_reopened_it_answers_the_same(case):
    again = open_run(case.run.path)
    assert again.config == case.run.config
    assert again.predict([case.new]) == case.run.predict([case.new])
    assert again.evaluate().figures == pytest.approx(case.run.config.figures, rel=1e-5)


def test_its_data_are_opened_again_with_the_same_splits(case):
    opened = case.run.data()
    assert {name: len(split) for name, split in opened.splits.items()} == case.run.config.counts
    assert opened.facts() == case.run.config.facts


def test_it_is_judged_on_other_data_and_never_on_what_it_learnt_from(case):
    judged = case.run.evaluate(case.other)
    assert judged.seen == 0
    assert case.task.metric.key in judged.figures
    with_own = case.run.evaluate(case.data)
    assert with_own.seen == case.run.config.counts["train"] + case.run.config.counts["val"]
    assert len(with_own) == case.run.config.counts["test"]


def test_a_file_that_cannot_be_read_is_an_error_and_not_a_stop(case, tmp_path):
    bad = tmp_path / f"bad{case.new.suffix}"
    bad.write_bytes(b"\xfa nothing")  # neither a picture, a sound, a table nor a text
    answers = case.run.predict([bad, case.new])
    assert str(bad) in answers[0].error
    assert answers[1].error is None


def test_its_report_has_the_common_parts_and_its_own(case):
    page = (case.run.path / "report.html").read_text(encoding="utf-8")
    config = case.run.config
    own = case.task.show(case.run.evaluate(), case.run.data(), {})
    for part in ("result", "candidates", "learning", "cost", "published", "data", "reuse"):
        assert f'<section id="{part}">' in page
    for section in own.sections:
        assert f'<section id="{section.id}">' in page
        assert f'<a href="#{section.id}">{section.title}</a>' in page
    assert f"test {config.metric.words}" in page
    assert config.metric.text(config.value, 2) in page
    assert case.task.asking in page


def test_its_verbs_print(case, capsys, tmp_path):
    path, task = case.run.path, case.task
    evaluated = told(capsys, "evaluate", path)
    assert evaluated["metric"] == task.metric.key
    assert evaluated["figures"] == pytest.approx(case.run.config.figures, rel=1e-5)
    assert task.metric.words in printed(capsys, "evaluate", path)
    answers = told(capsys, "predict", path, case.new)["predictions"]
    assert [Path(answer["file"]).name for answer in answers] == [case.new.name]
    assert printed(capsys, "predict", path, case.new).split()[: len(task.columns)] == [
        *task.columns
    ]
    table = tmp_path / "answers.csv"
    printed(capsys, "predict", path, case.new, "--out", table)
    with table.open(newline="") as file:
        header, row = list(csv.reader(file))
    assert header == ["file", *task.csv_columns(1), "error"]
    assert len(row) == len(header)


def test_it_is_exported_and_timed_by_the_same_commands(case, capsys, tmp_path):
    out = tmp_path / "m.onnx"
    exported = told(capsys, "export", case.run.path, "--out", out)
    assert exported["proof"]["agreement"] == 1
    assert out.stat().st_size == exported["file_bytes"]
    timed = told(capsys, "bench", case.run.path, "--seconds", "0.05")
    assert {each["runtime"] for each in timed["runtimes"]} >= {"torch eager", "ONNX Runtime"}


def test_the_exported_file_takes_sounds_of_any_length(audio, tmp_path):
    copied = shutil.copy(audio.run.files["onnx"], tmp_path / "model.onnx")
    predictor = audio.run.predictor()
    window, random = predictor.window, torch.Generator().manual_seed(0)
    lengths = (1, window // 3, window, window + 1, 4 * window - 5, 9 * window)
    sounds = [0.1 * torch.randn(n, generator=random) for n in lengths]
    sounds += [torch.zeros(window // 2), torch.zeros(2 * window)]
    assert check_parity(predictor, copied, sounds).passed
    file = OnnxFile(copied)
    assert file.classes == ["noise", "tone"]
    assert file.metadata["rate_hz"] == "8000"


def test_the_code_of_the_report_reads_sounds_as_the_run_does(audio, tmp_path, capsys):
    soundfile = pytest.importorskip("soundfile")
    file = tmp_path / "sound.wav"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, (16_000, 2)), 16_000)
    code = audio.task.runtime_code(audio.run.files["onnx"], audio.run.config)
    assert code in html.unescape((audio.run.path / "report.html").read_text(encoding="utf-8"))
    capsys.readouterr()
    exec(code.replace('"sound.wav"', repr(str(file))), {})
    label, probability = capsys.readouterr().out.split()
    (answer,) = audio.run.predict(file)
    assert label == answer.label
    assert float(probability) == pytest.approx(answer.probability, abs=1e-4)


def test_its_report_is_rebuilt_and_its_export_checked_without_the_data(case, capsys, tmp_path):
    copied = Path(shutil.copytree(case.run.path, tmp_path / "run"))
    (copied / "report.html").unlink()
    (copied / "model.onnx").unlink()
    assert told(capsys, "report", copied)["steps"]["report"] == "done"
    assert (copied / "report.html").exists()
    gone = shutil.move(case.data, tmp_path / "moved")
    try:
        with pytest.raises(DataError):
            open_run(copied).evaluate()
        (copied / "model.onnx").unlink()
        assert open_run(copied).export()[1].passed  # on the inputs that the run kept
        assert open_run(copied).evaluate(source=gone).figures
    finally:
        shutil.move(gone, case.data)


def test_the_command_of_the_main_job_names_the_metric(frequency, capsys):
    """The lines of the screen: the second task's words, from a job that is told by its data."""
    out = frequency.run.path.parent / "again"
    words = ("fit", frequency.data, "--time-limit", "20s", "--out", out)
    text = printed(capsys, *words)
    assert "mean error" in text
    assert " Hz" in text
    assert "48 samples" in text or "24 samples" in text
    assert f"convatlas predict {out}" in text


def test_an_option_that_the_task_does_not_know_is_refused_before_any_work(frequency):
    with pytest.raises(UsageError, match="max_pixels"):
        ca.fit(frequency.data, max_pixels=9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augmentation": "wild"}, "augmentation must be one of auto, none"),
        ({"augmentaton": "none"}, "did you mean augmentation|nearest: augmentation"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1"),
        ({"max_pixels": 0}, "--max-pixels must lie in"),
    ],
)
def test_options_of_classification_are_checked_before_any_work(classify, options, says):
    with pytest.raises(UsageError, match=says):
        ca.fit(classify.data, **options)


def test_options_of_a_task_reach_training_and_are_stored(classify, capsys):
    out = classify.run.path.parent / "smoothed"
    words = ("fit", classify.data, "--model", "linear_classifier", "--time-limit", "6s")
    told(capsys, *words, "--set", "augmentation=none", "--set", "label_smoothing=0.2", "--out", out)
    stored = json.loads((out / "run.json").read_text())
    assert stored["training"] == {"augmentation": "none", "label_smoothing": 0.2}
    assert stored["call"]["options"] == {"augmentation": "none", "label_smoothing": 0.2}
    assert classify.run.config.training == {"augmentation": "digits", "label_smoothing": 0.1}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "--set augmentation=none --set label_smoothing=0.2" in page


def test_data_of_no_task_name_the_layouts_of_all(frequency_task, tmp_path):
    with pytest.raises(DataError) as raised:
        ca.fit(tmp_path)
    assert all(layout in str(raised.value) for layout in frequency_task.layouts)
    assert "--task" in str(raised.value)


def test_no_file_of_the_package_knows_the_second_task():
    """Its words stand nowhere in `src`: the seam holds without a line for it."""
    found = subprocess.run(
        ["grep", "-rlE", "mae_hz|signal_net|SignalNet|answers\\.csv", str(ROOT / "src")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
    assert "frequency" not in TASKS or not isinstance(TASKS["frequency"], str)
