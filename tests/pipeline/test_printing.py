"""What a run, its leaderboard and its figures show when printed and in a notebook."""

import sys
from importlib.resources import files

import pandas
import pytest
import torch

import convatlas as ca
from convatlas.cost.report import Cost
from convatlas.errors import ConvatlasError
from convatlas.explain.classes.evaluation import Evaluation
from convatlas.metric import ACCURACY
from convatlas.pipeline.config import Trial
from convatlas.pipeline.leaderboard import Leaderboard
from convatlas.pipeline.run import Run


@pytest.fixture
def run(tmp_path, config):
    return Run(tmp_path / "<run>", config)


def test_a_run_says_what_it_is(run):
    assert "small_net at 3x28x28, 50.0% on 6 test images, 61.0 k params" in repr(run)
    text = str(run)
    assert len(text.splitlines()) == 9
    start = len(max((name for name, _ in run._rows()), key=len)) + 2
    assert "latency" + " " * (start - 7) + "480 µs" in text
    assert all(line[start - 2 : start] == "  " != line[start] for line in text.splitlines())
    html = run._repr_html_()
    assert "&lt;run&gt;" in html
    assert "<run>" not in html
    assert "&lt;mine&gt; &amp;" in html


def test_the_leaderboard_prints_as_a_table_and_is_a_frame_on_request(run, leaderboard):
    board = run.leaderboard
    assert board == run.config.leaderboard
    lines = str(board).splitlines()
    assert lines[0].split() == [
        *("model", "options", "input", "params", "macs", "latency", "accuracy"),
        *("status", "reason"),
    ]
    assert len(lines) == len(leaderboard) + 1
    assert repr(board) == str(board)
    assert board._repr_html_().count("<tr>") == len(leaderboard) + 1
    frame = board.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["model"]) == [entry.model for entry in leaderboard]
    assert frame["params"].dropna().tolist() == [e.params for e in leaderboard if e.params]
    assert "accuracy" in Leaderboard([], ACCURACY).to_frame().columns


def test_a_frame_without_pandas_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConvatlasError, match="pip install pandas"):
        run.leaderboard.to_frame()


def test_a_cost_prints_on_a_line_however_many_layers_it_has():
    cost = ca.count(ca.create_model("lenet5"), (1, 1, 32, 32))
    assert repr(cost) == "Cost(60.0 k params, 326 k macs at 1x1x32x32)"
    assert "peak        " in str(cost)
    assert len(str(cost).splitlines()) < 10
    assert f"{len(cost.layers)} layers" in cost._repr_html_()
    assert isinstance(cost, Cost)


def test_a_card_shows_in_a_notebook_what_it_prints():
    card = ca.describe("lenet5")
    assert repr(card) == str(card)
    html = card._repr_html_()
    assert "60.0 k params" in html
    assert "&quot;Gradient-Based" in html


def test_an_evaluation_says_how_sure_it_is():
    answered = Evaluation(torch.tensor([0, 1]), torch.eye(2), ["a", "b"], ["x", "y"])
    assert repr(answered).startswith(
        "Evaluation(100.00% of 2 images right, 95 % interval 34.24% to"
    )


def test_type_checkers_are_told_that_the_package_is_typed():
    assert files("convatlas").joinpath("py.typed").is_file()


def test_a_close_race_is_judged_by_the_images_that_were_asked(run):
    run.config.counts = {"val": 341}
    run.config.leaderboard = [
        Trial(
            model=name,
            options={},
            example={"size": 8},
            input="8 px",
            figures={"accuracy": accuracy},
            validated=validated,
        )
        for name, accuracy, validated in (("first", 0.9, 341), ("slow", 0.75, 32))
    ]
    (doubt,) = [line for line in run.doubts if "too few to rank" in line]
    assert doubt.startswith("32 validation images are too few to rank the best networks: 90.0%")
    run.config.leaderboard[1].validated = None  # as older runs have it: all of them were asked
    assert not [line for line in run.doubts if "too few to rank" in line]
