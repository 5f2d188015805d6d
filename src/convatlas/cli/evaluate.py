"""The verb `evaluate`: how right a trained network is on labelled data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.output import print_json, say, table
from convatlas.cli.run_options import max_pixels_option, moved_data

if TYPE_CHECKING:
    from convatlas.pipeline.run import Run
    from convatlas.tasks.answers import Evaluation


def evaluate_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    data: str | None = typer.Argument(
        None,
        help="Labelled data as for `fit`; the run's own test split if not given.",
        metavar="[DATA]",
    ),
    moved: Path | None = moved_data(),
    max_broken: float = typer.Option(0.05, help="Maximum fraction of unreadable files to skip."),
    max_pixels: float | None = max_pixels_option(),
    with_seen: bool = typer.Option(
        False,
        "--with-seen",
        help="Also count what the run was trained on, which is left out by default.",
    ),
    crops: int = typer.Option(
        1, help="10: the mean over corners, middle and mirror images of each.", metavar="1|10"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Test a trained network on labelled data."""
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.run import open_run

    opened = open_run(run, max_pixels=max_pixels)
    evaluation = opened.evaluate(
        data,
        source=moved,
        with_seen=with_seen,
        max_broken=max_broken,
        crops=crops,
        progress=progress_on_stderr(),
    )
    if as_json:
        print_json({**_answer(opened, data, evaluation), "crops": crops})
    else:
        _print(evaluation)


def _answer(run: "Run", data: str | None, evaluation: "Evaluation") -> dict[str, Any]:
    return {
        "run": str(run.path),
        "model": run.config.model,
        "task": run.config.task,
        "data": data or "the run's test split",
        "warnings": [*evaluation.warnings, *evaluation.record().get("doubts", [])],
        "seen": evaluation.seen,
        "metric": run.config.metric.key,
        "figures": dict(evaluation.figures),
        **evaluation.to_dict(),
    }


def _print(evaluation: "Evaluation") -> None:
    columns, rows, right = evaluation.table()
    table(rows, columns, right=right)
    say()
    for line in evaluation.lines():
        say(line)
    for doubt in evaluation.record().get("doubts", []):
        say(f"warning: {doubt}")
