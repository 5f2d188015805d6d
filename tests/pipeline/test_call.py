"""Every option of `fit` is recorded, and the command that does the job again repeats it."""

import inspect
import shlex
import sys

import pytest
import typer
from typer.testing import CliRunner

from convatlas.cli.fit import fit_command
from convatlas.cli.training_options import given_once, recipe_options
from convatlas.errors import UsageError
from convatlas.pipeline.call import NOT_RECORDED, record_call
from convatlas.pipeline.fit import fit
from convatlas.pipeline.snippets import commands

NOT_REPEATED = {"out", "force", "progress"}
GIVEN = {
    "--max-params": ["100k"],
    "--max-macs": ["5M"],
    "--max-latency": ["12.5ms"],
    "--max-size": ["1.5MB"],
    "--max-memory": ["32MB"],
    "--min-throughput": ["250"],
    "--epochs": ["2.5"],
    "--max-trials": ["3"],
    "--model": ["lenet5_modern"],
    "--pretrained": ["yes"],
    "--time-limit": ["40s"],
    "--seed": ["7"],
    "--max-broken": ["0.125"],
    "--max-pixels": ["20M"],
    "--value-range": ["-100.5", "3071"],
    "--task": ["classify"],
    "--metric": ["balanced_accuracy"],
    "--class-weights": ["1,2.5"],
    "--device": ["cpu"],
    "--batch": ["48"],
    "--learning-rate": ["0.0025"],
    "--precision": ["bf16"],
    "--freeze": ["stages.2"],
    "--recipe": ["weight_decay=0.25"],
    "--workers": ["3"],
    "--folds": ["4"],
    "--out": ["a folder"],
    "--save-front": [],
    "--force": [],
}


@pytest.fixture
def arguments(monkeypatch):
    """What `fit` is called with by a command line."""

    def called(line):
        caught = {}

        def note(data, **options):
            caught.update(options, data=data)
            raise UsageError("enough")

        monkeypatch.setattr(sys.modules["convatlas.pipeline.fit"], "fit", note)
        app = typer.Typer()
        app.command()(fit_command)
        CliRunner().invoke(app, line)
        return {name: value for name, value in caught.items() if name not in NOT_REPEATED}

    return called


def test_the_command_repeats_every_option_that_was_given(arguments, config, tmp_path):
    app = typer.Typer(add_completion=False)
    app.command()(fit_command)
    names = {name for option in typer.main.get_command(app).params for name in option.opts}
    options = {name for name in names if name.startswith("--")}
    assert options - {"--json", "--set"} == GIVEN.keys()  # a new option must be tried here
    line = [word for option, values in GIVEN.items() for word in (option, *values)]
    given = arguments(["photos", *line])
    assert given["value_range"] == (-100.5, 3071)
    assert given["class_weights"] == (1.0, 2.5)
    assert given["recipe"] == {
        **{"batch_size": 48, "lr": 0.0025, "precision": "bf16", "freeze": "stages.2"},
        "weight_decay": 0.25,
    }
    config.source, config.budget, config.seed = given["data"], given["budget"], given["seed"]
    config.call = record_call(fit, given)
    again = shlex.split(dict(commands(tmp_path, config))["Repeat the whole job"])
    assert arguments(again[2:]) == given


def test_what_was_not_given_is_not_said(arguments, config, tmp_path):
    config.call = record_call(fit, arguments(["photos"]))
    assert config.call == {}


def test_a_run_stores_the_call(config, tmp_path):
    config.call = {"model": "lenet5_modern", "time_limit_s": 40.0, "value_range": (0.0, 9.0)}
    config.save(tmp_path)
    stored = type(config).load(tmp_path)
    command = dict(commands(tmp_path, stored))["Repeat the whole job"]
    assert "--model lenet5_modern --time-limit 40s --value-range 0 9" in command


def test_every_argument_of_fit_is_recorded_or_stands_elsewhere():
    named = inspect.signature(fit).parameters
    assert named.keys() >= NOT_RECORDED
    given = dict.fromkeys(named, "something")
    recorded = record_call(fit, given | {"max_pixels": 9})
    assert recorded.keys() == named.keys() - NOT_RECORDED
    assert recorded["options"] == {"max_pixels": 9}


def test_one_option_under_two_names_is_refused():
    with pytest.raises(UsageError, match="--batch and --recipe batch_size are one option"):
        recipe_options(["batch_size=3"], 4, None, None, None)
    with pytest.raises(UsageError, match="no option 'lrr'"):
        recipe_options(["lrr=3"], None, None, None, None)
    with pytest.raises(UsageError, match="--metric and --set metric are one option"):
        given_once({"metric": "accuracy"}, ["metric=balanced_accuracy"])
