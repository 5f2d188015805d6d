"""The verb `predict`: the class of image files."""

from pathlib import Path

import typer

from convatlas.cli.output import note, print_json, table
from convatlas.cli.run_options import max_pixels_option
from convatlas.errors import DataError
from convatlas.text import shown


def predict_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    files: list[Path] = typer.Argument(help="Image files.", metavar="FILES..."),
    max_pixels: float | None = max_pixels_option(),
    as_json: bool = typer.Option(
        False, "--json", help="One JSON object, with the probability of every class."
    ),
) -> None:
    """Classify files with a trained network; unreadable ones are named and the rest goes on."""
    from convatlas.job.run import open_run

    opened = open_run(run, max_pixels=max_pixels)
    predictions = opened.predict(files)
    failed = [p for p in predictions if p.error]
    for prediction in failed:
        note(f"warning: {prediction.error}")
    if len(failed) == len(predictions):
        raise DataError(f"predict: none of the {len(failed)} file(s) could be read")
    if as_json:
        print_json({"run": run, "model": opened.config.model, "predictions": predictions})
        return
    rows = [
        (
            shown(p.file),
            None if p.label is None else shown(p.label),
            None if p.probability is None else f"{p.probability:.1%}",
        )
        for p in predictions
    ]
    table(rows, ("file", "class", "probability"), right=("probability",))
