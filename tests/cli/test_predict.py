"""`predict` on files, folders and patterns, with answers in a CSV file."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.pipeline.run import Run
from convatlas.tasks.classify import TASK

CLASSES = ["cat", "dog", "fox"]


class Fixed:
    def predict(self, images):
        return torch.tensor([[0.1, 0.7, 0.2]] * len(images))


class Config:
    model, task = "small_net", "classify"


@pytest.fixture(autouse=True)
def opened(monkeypatch, tmp_path):
    run = Run.__new__(Run)
    run.path, run.config, run.task = tmp_path, Config(), TASK
    run.facts = {"classes": CLASSES, "channels": 3, "height": 4, "width": 4}
    run._predictor = Fixed()
    monkeypatch.setattr("convatlas.pipeline.run.open_run", lambda *args, **options: run)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos/deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_a_folder_is_answered_file_by_file_with_the_best_classes(convatlas, photos):
    done = convatlas("predict", "run", photos, "--top", "2")
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()[1:]]
    assert lines == [
        [str(photos / "a.png"), "dog", "70.0%"],
        ["fox", "20.0%"],
        [str(photos / "deep/b.png"), "dog", "70.0%"],
        ["fox", "20.0%"],
    ]


def test_answers_go_to_a_csv_file_with_the_files_that_failed(convatlas, photos, tmp_path):
    (photos / "bad.png").write_bytes(b"nonsense")
    out = tmp_path / "answers.csv"
    done = convatlas("predict", "run", photos, "--out", out, "--top", "2")
    assert done.code == 0
    assert "bad.png" in done.err
    assert done.out == f"2 answers in {out}\n"
    with out.open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert rows[str(photos / "a.png")]["class"] == "dog"
    assert float(rows[str(photos / "a.png")]["probability 2"]) == pytest.approx(0.2)
    assert rows[str(photos / "bad.png")]["class"] == ""
    assert "bad.png" in rows[str(photos / "bad.png")]["error"]


def test_whole_answers_go_to_a_json_file(convatlas, photos, tmp_path):
    out = tmp_path / "answers.json"
    assert convatlas("predict", "run", photos, "--out", out).out == f"2 answers in {out}\n"
    told = json.loads(convatlas("predict", "run", photos, "--json").out)
    assert json.loads(out.read_text("utf-8")) == told["predictions"]


def test_answers_never_replace_a_file_unasked(convatlas, photos, tmp_path):
    mine = tmp_path / "mine.csv"
    mine.write_text("of the user")
    done = convatlas("predict", "run", photos, "--out", mine)
    assert done.code == 2
    assert "exists; --force replaces it" in done.err
    assert mine.read_text() == "of the user"
    assert convatlas("predict", "run", photos, "--out", mine, "--force").code == 0
    assert mine.read_text().startswith("file,class,probability,error")


@pytest.mark.parametrize("name", ["photo.png", "no/where.csv", "x" * 300 + ".csv", "."])
def test_a_path_that_cannot_take_answers_is_refused_before_any_work(
    convatlas, photos, tmp_path, name
):
    done = convatlas("predict", "run", photos, "--out", tmp_path / name)
    assert done.code == 2
    assert "--out" in done.err


def test_the_exit_code_is_3_only_if_nothing_could_be_read(convatlas, photos, tmp_path):
    out = tmp_path / "answers.csv"
    missing = convatlas("predict", "run", tmp_path / "*.jpg", tmp_path / "gone.png", "--out", out)
    assert missing.code == 3
    assert "gone.png" in missing.err
    assert "pattern" in missing.err
    assert not out.exists()
    assert convatlas("predict", "run", photos, tmp_path / "gone.png").code == 0
