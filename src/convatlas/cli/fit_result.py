"""How `fit` and `train` end: leaderboard, what cheaper networks reach, costs, test, exit code."""

from typing import TYPE_CHECKING

import typer

from convatlas.cli.output import print_json, say, table
from convatlas.launched import process_number
from convatlas.text import format_number, shell_word

if TYPE_CHECKING:
    from convatlas.pipeline.leaderboard import Leaderboard
    from convatlas.pipeline.run import Run

FRONT_SHOWN = 4
SHOWN = 12  # lines of the leaderboard on the screen; the report and --json have them all


def end_with(run: "Run", *, as_json: bool) -> None:
    """Print a run, and exit by its signal, or with 1 where something of it failed."""
    if process_number():
        pass  # the main process prints
    elif as_json:
        print_json(run.summary())
    else:
        print_result(run)
    if run.stopped is not None:
        raise typer.Exit(128 + run.stopped)
    if run.config.finished != "yes":
        raise typer.Exit(1)


def print_result(run: "Run") -> None:
    """Print leaderboard, front, costs, test and what to do next."""
    config = run.config
    _print_leaderboard(run.leaderboard)
    for line in front_lines(run):
        say(line)
    say()
    say(f"chosen: {config.model} ({_options(config.options)}) at {config.input_words}")
    if config.weights is not None:
        say(f"started from: {config.weights} (licence {config.weights_licence})")
    limits = config.budget.model_dump()
    rows = [
        ("params", format_number(config.params), _limit(limits["params"])),
        ("macs", format_number(config.macs), _limit(limits["macs"])),
        ("latency", format_number(config.latency_s, "s"), _limit(limits["latency_s"], "s")),
        (
            "file",
            format_number(config.file_bytes, "bytes"),
            _limit(limits["file_bytes"], "bytes"),
        ),
        (
            "memory",
            format_number(config.memory_bytes, "bytes") if config.memory_bytes else "-",
            _limit(limits["memory_bytes"], "bytes"),
        ),
    ]
    if config.throughput is not None:
        asked = f"at least {_limit(limits['throughput'])}"
        rows.append(("inputs a second", format_number(config.throughput), asked))
    table(rows, ("cost", "value", "limit"), right=("value", "limit"))
    if config.test is not None:
        say(f"test {config.metric.words}: {config.test.words}, held out")
    if config.folds_words is not None:
        say(f"{config.metric.words} by folds: {config.folds_words}")
    for doubt in run.doubts:
        say(f"warning: {doubt}")
    if config.proof is not None:
        say(f"ONNX agrees with the network: {config.proof.figures()}")
    if config.finished == "interrupted":
        say("training was interrupted; these are the results so far")
        if run.can_go_on:
            say(f"`convatlas resume {shell_word(run.path)}` goes on with the training")
    for name, how in config.steps.items():
        if how != "done":
            say(f"{name}: {how}; `convatlas report {shell_word(run.path)}` repeats it")
    if "report" in run.files:
        say(f"report: {run.files['report']}")
    say(f"next: convatlas predict {shell_word(run.path)} FILES")


def _print_leaderboard(leaderboard: "Leaderboard") -> None:
    metric = leaderboard.metric
    numbers = ("input", "params", "macs", "latency", metric.words)
    rows = [
        (
            entry.model,
            _options(entry.options),
            entry.input,
            None if entry.params is None else format_number(entry.params),
            None if entry.macs is None else format_number(entry.macs),
            None if entry.latency_s is None else format_number(entry.latency_s, "s"),
            metric.text(entry.value(metric)) if entry.figures else None,
            f"{entry.status}: {entry.reason}" if entry.reason else entry.status,
        )
        for entry in leaderboard[:SHOWN]
    ]
    table(rows, ("network", "options", *numbers, "outcome"), right=numbers)
    if len(leaderboard) > SHOWN:
        say(f"and {len(leaderboard) - SHOWN} more, in the report and in run.json")


def front_lines(run: "Run") -> list[str]:
    """Return what cheaper networks reached, a line each, the best first."""
    config, metric = run.config, run.config.metric
    lines = []
    for trial in run.pareto():
        if trial.status == "chosen" or not trial.macs or not trial.params:
            continue
        cheaper = trial.macs < config.macs or trial.params < config.params
        place = f": {shell_word(run.path / trial.folder)}" if trial.folder else ""
        if cheaper:
            lines.append(
                f"with {trial.macs / max(1, config.macs):.2g} x the macs and "
                f"{trial.params / max(1, config.params):.2g} x the params: {trial.model} at "
                f"{trial.input}, {metric.text(trial.value(metric))} on validation after "
                f"{trial.epochs:.1f} epochs{place}"
            )
    return lines[:FRONT_SHOWN]


def _options(options: dict) -> str:
    own = {k: v for k, v in options.items() if k not in ("in_channels", "num_classes")}
    return " ".join(f"{key}={value}" for key, value in own.items()) or "as published"


def _limit(value: float | None, unit: str = "") -> str:
    return "none" if value is None else format_number(value, unit) if unit else format_number(value)
