"""A saved front: each network that no other beats opens as a run of its own."""

import pytest

from convatlas.pipeline.config import DONE, FILE_NAMES, FRONT
from convatlas.pipeline.finishing import rebuild
from convatlas.pipeline.fit import fit
from convatlas.pipeline.run import open_run
from convatlas.progress import Silent
from convatlas.search.budget import Budget


def trained(leaderboard, metric):
    return [each for each in leaderboard if each.figures]


@pytest.fixture(scope="module")
def saved(digit_files, tmp_path_factory):
    """A run whose front is every network that was trained: which one wins differs by machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convatlas.pipeline.run.front_of", trained)
        yield fit(
            digit_files,
            model="linear_classifier",
            budget=Budget(params=30_000),
            time_limit_s=8,
            save_front=True,
            out=tmp_path_factory.mktemp("front") / "run",
        )


def test_every_network_of_the_front_has_a_run_and_nothing_else_is_left(saved):
    front = saved.pareto()
    assert len(front) > 1
    assert len(saved.front) == len(front)
    assert saved.path in saved.front
    others = {path.name for path in saved.front if path != saved.path}
    assert {path.name for path in (saved.path / FRONT).iterdir()} == others
    assert FRONT in (saved.config.written or ())
    assert saved.summary()["front"] == [str(path) for path in saved.front]


def test_each_opens_as_the_network_of_its_line(saved):
    for line, path in zip(saved.pareto(), saved.front, strict=True):
        run = open_run(path)
        assert run.config.model == line.model
        assert run.config.example == line.example
        assert run.config.params == line.params
        assert run.config.validation == line.figures
        assert run.cost().macs == line.macs


def test_its_weights_are_those_that_were_validated(saved):
    for line, path in zip(saved.pareto(), saved.front, strict=True):
        run = open_run(path)
        dataset = run.data()
        judged = run.task.evaluate(
            run.predictor(), dataset.splits["val"], run.config.facts, Silent()
        )
        assert judged.figures["accuracy"] == pytest.approx(line.figures["accuracy"], abs=0.02)


def test_one_is_tested_and_exported_on_demand(saved):
    path = next(path for path in saved.front if path != saved.path)
    run = open_run(path)
    assert run.config.test is None
    rebuild(run)
    again = open_run(path)
    assert again.config.finished == "yes"
    assert set(again.config.steps.values()) == {DONE}
    assert {"onnx", "report"} <= set(again.files)


def test_without_being_asked_nothing_is_kept(run):
    assert not (run.path / FRONT).exists()
    assert run.front in ([run.path], [])
    assert FRONT not in (run.config.written or ())
    assert FILE_NAMES["weights"] in (run.config.written or ())
