"""The verb `report`: test, export and report of a run again, from what it kept."""

from pathlib import Path

import typer

from convatlas.cli.output import print_json, say
from convatlas.cli.run_options import moved_data


def report_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    data: Path | None = moved_data(),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Test a run again, export it if it was not exported, and rewrite its report."""
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.config import DONE
    from convatlas.pipeline.finishing import rebuild
    from convatlas.pipeline.run import open_run

    opened = open_run(run)
    rebuild(opened, source=data, progress=progress_on_stderr())
    if as_json:
        print_json(opened.summary())
    else:
        for name, how in opened.config.steps.items():
            say(f"{name}: {how}")
        if "report" in opened.files:
            say(f"report: {opened.files['report']}")
    if any(how != DONE for how in opened.config.steps.values()):
        raise typer.Exit(1)
