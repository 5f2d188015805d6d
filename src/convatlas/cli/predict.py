"""The verb `predict`: the answers for files, for whole folders too."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from convatlas.cli.answers_file import check_answers_file, write_answers, write_json_answers
from convatlas.cli.output import note, print_json, say, table
from convatlas.cli.run_options import max_pixels_option
from convatlas.cli.saved_answers import check_save_folder, save_answers
from convatlas.errors import DataError
from convatlas.text import printable

if TYPE_CHECKING:
    from convatlas.pipeline.run import Run
    from convatlas.tasks.answers import Prediction

SHOWN_FAILURES = 20


def predict_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    files: list[Path] = typer.Argument(
        help="Files, folders (searched to the end) or patterns.", metavar="FILES..."
    ),
    top: int = typer.Option(1, min=1, help="Best answers to show, where a file has several."),
    out: Path | None = typer.Option(
        None,
        help="Write the answers to this CSV file, or the whole ones to a JSON file (boxes as COCO "
        "has results).",
        metavar="FILE",
    ),
    save: Path | None = typer.Option(
        None,
        help="Write what an answer consists of, such as masks and overlays, into this folder.",
        metavar="DIR",
    ),
    force: bool = typer.Option(
        False, "--force", help="Replace the --out file, or files in the --save folder."
    ),
    score: float | None = typer.Option(
        None,
        min=0.0,
        help="Show and draw boxes that score as much; the score that was best on the validation "
        "images if not given.",
        metavar="N",
    ),
    max_pixels: float | None = max_pixels_option(),
    as_json: bool = typer.Option(
        False, "--json", help="One JSON object, with the whole answer for each file."
    ),
) -> None:
    """Ask a trained network about files; unreadable ones are named and the rest goes on.

    The exit code is 3 only if no file could be read.
    """
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.run import open_run

    if out is not None:
        check_answers_file(out, force=force)
    opened = open_run(run, **({} if score is None else {"score": score}), max_pixels=max_pixels)
    if save is not None:
        check_save_folder(save)
    predictions = opened.predict(files, progress=progress_on_stderr())
    failed = [p for p in predictions if p.error]
    _name_failures(failed, len(predictions))
    doubts = opened.task.prediction_doubts(predictions)
    for doubt in doubts[:SHOWN_FAILURES]:
        note(f"warning: {doubt}")
    if len(doubts) > SHOWN_FAILURES:
        note(f"warning: {len(doubts):,} such answers in all; the first are listed above")
    if out is not None and out.suffix.lower() == ".json":
        write_json_answers(out, opened.task.json_answers(predictions, opened.facts))
    elif out is not None:
        write_answers(out, opened.task.csv_columns(top), predictions, top)
    saved = [] if save is None else save_answers(save, predictions, force=force)
    if as_json:
        answer = {
            "run": run,
            "model": opened.config.model,
            "task": opened.config.task,
            "predictions": predictions,
        }
        written: dict[str, Path | list[Path]] = {}
        written |= {"answers": out} if out else {}
        written |= {"saved": saved} if save else {}
        print_json(answer | ({"files": written} if written else {}))
        return
    if save is not None:
        say(f"{len(saved):,} files in {printable(save)}")
    if out is not None:
        say(f"{len(predictions) - len(failed):,} answers in {printable(out)}")
    elif save is None:
        _print(opened, predictions, top)


def _name_failures(failed: "Sequence[Prediction]", count: int) -> None:
    for prediction in failed[:SHOWN_FAILURES]:
        note(f"warning: {prediction.error}")
    if len(failed) == count:
        raise DataError(f"predict: none of the {count:,} file(s) could be read")
    if len(failed) > SHOWN_FAILURES:
        note(f"warning: {len(failed):,} of {count:,} could not be read; the first are listed above")


def _print(run: "Run", predictions: "Sequence[Prediction]", top: int) -> None:
    rows = [row for prediction in predictions for row in prediction.rows(top)]
    table(rows, run.task.columns, right=run.task.right)
    for line in run.task.answer_notes(run.facts):
        note(line)
