"""The file of `predict --out`, CSV or JSON; it never replaces a file unasked."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convatlas.cli.output import plain_values
from convatlas.errors import UsageError
from convatlas.replacing import replacing
from convatlas.text import printable, unicode_only

if TYPE_CHECKING:
    from convatlas.tasks.answers import Prediction


SUFFIXES = (".csv", ".json")


def check_answers_file(path: Path, *, force: bool) -> None:
    """Refuse, before any work, a path that cannot take the answers or holds something.

    Raises:
        UsageError: with the reason.
    """
    place = f"predict: --out {printable(path)}"
    try:
        if path.is_dir():
            raise UsageError(f"{place}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"{place}: there is no folder {printable(path.parent)}")
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{place}: must end in {' or '.join(SUFFIXES)}")
        if os.path.lexists(path) and not force:
            raise UsageError(f"{place}: exists; --force replaces it")
    except OSError as error:  # a name that is too long, say
        raise UsageError(f"{place}: cannot be used: {error.strerror}") from error


def write_json_answers(path: Path, answers: Any) -> None:
    """Write the answers as one JSON value, as the task has them.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as fresh:
        text = json.dumps(plain_values(answers), ensure_ascii=False, allow_nan=False)
        fresh.write_text(text, encoding="utf-8")


def write_answers(
    path: Path, columns: "Sequence[str]", predictions: "Sequence[Prediction]", top: int
) -> None:
    """Write a header and a line for each input: file, answer, error.

    Args:
        columns: of the answer, as the task names them.
        top: best answers for each input, where it has several.

    Raises:
        WriteError: the file cannot be written.
    """
    with replacing(path) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *columns, "error"])
        for p in predictions:
            writer.writerow([unicode_only(x) for x in (p.file, *p.cells(top), p.error or "")])
