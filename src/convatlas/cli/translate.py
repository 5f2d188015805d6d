"""The verb `translate`: sentences from the command line or standard input, one line each."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from convatlas.cli.output import note, print_json, say
from convatlas.errors import DataError, UsageError
from convatlas.text import printable

if TYPE_CHECKING:
    from convatlas.data.text.asked_texts import AskedText
    from convatlas.deploy.translator import Translator
    from convatlas.pipeline.run import Run

TASK = "translate"


def translate_command(
    run: Path = typer.Argument(help="A run folder of the task `translate`.", metavar="RUN"),
    texts: list[str] = typer.Argument(
        None, help="Sentences; without one, the lines of standard input.", metavar="TEXTS..."
    ),
    beam: int = typer.Option(
        1, min=1, max=64, help="Ways that are followed at once; 1 takes the likeliest symbol."
    ),
    length_penalty: float = typer.Option(
        0.6, min=0.0, max=5.0, help="More prefers longer translations, with --beam above 1."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Translate sentences, and print a line for each.

    A sentence that has no translation (an empty line, one longer than any that was trained on)
    gives an empty line and a warning; the exit code is 3 only if none has one.
    """
    from convatlas.pipeline.run import open_run
    from convatlas.tasks.translate_texts import translate_texts

    opened = open_run(run)
    translator = translator_of(opened, run)
    answers, failed, total = [], 0, 0
    for answer in translate_texts(
        lambda: translator, _asked(texts), beam=beam, length_penalty=length_penalty
    ):
        total, failed = total + 1, failed + (answer.error is not None)
        if answer.error is not None:
            note(f"warning: {answer.error}")
        if answer.unknown:
            note(f"warning: {answer.unknown_words()}")
        if as_json:
            answers.append(answer)
        else:
            say(answer.translation or "")
    if failed == total:
        raise DataError(f"translate: none of the {total:,} sentence(s) has a translation")
    if as_json:
        print_json({"run": run, "model": opened.config.model, "translations": answers})


def translator_of(opened: "Run", run: Path) -> "Translator":
    """Return the translator of a run.

    Raises:
        UsageError: the run is of another task.
    """
    from convatlas.deploy.translator import Translator

    predictor = opened.predictor()
    if not isinstance(predictor, Translator):
        raise UsageError(
            f"translate: {printable(run)} is a run of the task {opened.config.task}; translations "
            f"come from a run of the task {TASK}"
        )
    return predictor


def _asked(texts: list[str] | None) -> "Iterator[AskedText]":
    """Yield the sentences of the command line, or the lines of standard input as they come."""
    from convatlas.data.text.asked_texts import asked_line

    if texts and texts != ["-"]:
        for number, text in enumerate(texts, start=1):
            yield asked_line(f"text {number}", text)
        return
    for line, content in enumerate(sys.stdin.buffer, start=1):
        yield asked_line("standard input", content.decode("utf-8", "surrogateescape"), line)
