"""The verb `resume`: a run that was interrupted goes on."""

from pathlib import Path

import typer

from convatlas.cli.fit_result import end_with
from convatlas.cli.run_options import moved_data


def resume_command(
    run: Path = typer.Argument(help="The folder of the run, as --out named it.", metavar="RUN"),
    data: Path | None = moved_data(),
    device: str | None = typer.Option(
        None, help="To train on now; that of before if not given.", metavar="auto|cpu|cuda[:N]|mps"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Go on with a run that was interrupted, from its last checkpoint."""
    from convatlas.cli.main import STARTED
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.resume import resume

    resumed = resume(run, data=data, device=device, progress=progress_on_stderr(), started=STARTED)
    end_with(resumed, as_json=as_json)
