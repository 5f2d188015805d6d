"""The verb `fit`: data and a budget in, the best network that fits out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from convatlas.cli.numbers import bytes_option, count_option, seconds_option
from convatlas.cli.options import task_options
from convatlas.cli.output import print_json, say, table
from convatlas.text import format_number, shell_word

if TYPE_CHECKING:
    from convatlas.pipeline.leaderboard import Leaderboard
    from convatlas.pipeline.run import Run

FRONT_SHOWN = 4
SHOWN = 12  # lines of the leaderboard on the screen; the report and --json have them all
DATA_HELP = (
    "`digits` (embedded), or a folder or file in a layout of the task. Images with classes: a "
    "folder CLASS/files, a folder with train/ val/ test/, or a CSV file with a column of files and "
    "one of classes, such as file_name,label."
)


def fit_command(
    data: str = typer.Argument(help=DATA_HELP, metavar="DATA"),
    max_params: float | None = count_option(
        "--max-params", help="Maximum number of parameters, e.g. 1M."
    ),
    max_macs: float | None = count_option(
        "--max-macs", help="Maximum number of multiply-adds per image, e.g. 50M."
    ),
    max_latency: float | None = seconds_option(
        "--max-latency", help="Maximum time for one image on this machine, e.g. 10ms."
    ),
    max_size: float | None = bytes_option(
        "--max-size", help="Maximum size of the exported file, e.g. 2MB."
    ),
    max_memory: float | None = bytes_option(
        "--max-memory", help="Maximum memory while one input runs, weights included, e.g. 16MB."
    ),
    min_throughput: float | None = count_option(
        "--min-throughput",
        help="Minimum number of inputs a second on this machine's CPU, in batches, e.g. 200.",
    ),
    task: str | None = typer.Option(
        None, help="What the network is for; found from the data if not given.", metavar="TASK"
    ),
    model: str | None = typer.Option(None, help="Try only this network.", metavar="NAME"),
    pretrained: str = typer.Option(
        "auto",
        "--pretrained",
        help="Start from public weights. auto: for photographs, if weights that fit are on this "
        "machine. yes: those of --model NAME, downloaded if needed, or of every network whose "
        "weights are on this machine. no: fresh weights.",
        metavar="auto|yes|no",
    ),
    time_limit: float | None = seconds_option(
        "--time-limit",
        help="Approximate time limit for the whole job, e.g. 2m; 10m if neither it nor --epochs is "
        "given.",
    ),
    epochs: float | None = typer.Option(
        None,
        help="Passes over the training data for the chosen network; without --time-limit the "
        "result can be repeated exactly.",
        metavar="N",
    ),
    max_trials: int | None = typer.Option(
        None, "--max-trials", help="Maximum number of networks that are trained.", metavar="N"
    ),
    out: Path | None = typer.Option(None, help="The folder to write the run to.", metavar="DIR"),
    seed: int = typer.Option(0, help="Random seed for split, weights and augmentation."),
    max_broken: float = typer.Option(
        0.05, help="Maximum fraction of unreadable files to skip; with more the job stops."
    ),
    max_pixels: float | None = count_option(
        "--max-pixels", help="Maximum number of pixels in one image; 64M if not given."
    ),
    value_range: tuple[float, float] | None = typer.Option(
        None,
        "--value-range",
        help="Values of black and white in files with more than 8 bits, e.g. 0 4095.",
        metavar="LOW HIGH",
    ),
    settings: list[str] = typer.Option(
        [],
        "--set",
        help="Another option of the task; may be repeated.",
        metavar="NAME=VALUE",
    ),
    save_front: bool = typer.Option(
        False,
        "--save-front",
        help="Also keep the networks that no other beats in metric, macs and params, as runs in "
        "DIR/front/.",
    ),
    force: bool = typer.Option(False, "--force", help="Replace the run that is in DIR."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Find and train the best network that fits a budget."""
    from convatlas.cli.main import STARTED
    from convatlas.cli.progress import Clock, progress_on_stderr
    from convatlas.pipeline.fit import USUAL_LIMIT_S, fit
    from convatlas.search.budget import Budget

    budget = Budget(
        params=max_params,
        macs=max_macs,
        latency_s=max_latency,
        file_bytes=max_size,
        memory_bytes=max_memory,
        throughput=min_throughput,
    )
    limit = USUAL_LIMIT_S if time_limit is None and epochs is None else time_limit
    run = fit(
        data,
        budget=budget,
        task=task,
        model=model,
        pretrained=pretrained,
        time_limit_s=time_limit,
        epochs=epochs,
        max_trials=max_trials,
        out=out,
        seed=seed,
        force=force,
        save_front=save_front,
        max_broken=max_broken,
        progress=progress_on_stderr(Clock(limit, STARTED)),
        started=STARTED,
        **{"max_pixels": max_pixels, "value_range": value_range, **task_options(settings)},
    )
    if as_json:
        print_json(run.summary())
    else:
        _print(run)
    if run.stopped is not None:
        raise typer.Exit(128 + run.stopped)
    if run.config.finished != "yes":
        raise typer.Exit(1)


def _print(run: "Run") -> None:
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
    for doubt in run.doubts:
        say(f"warning: {doubt}")
    if config.proof is not None:
        say(f"ONNX agrees with the network: {config.proof.figures()}")
    if config.finished == "interrupted":
        say("training was interrupted; these are the results so far")
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
