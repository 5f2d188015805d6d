"""The CSV file of `predict --out`: one line an image; it never replaces a file unasked."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convatlas.errors import UsageError
from convatlas.replacing import replacing
from convatlas.text import printable, unicode_only

if TYPE_CHECKING:
    from convatlas.pipeline.predicting import Prediction


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
        if path.suffix.lower() != ".csv":
            raise UsageError(f"{place}: must end in .csv")
        if os.path.lexists(path) and not force:
            raise UsageError(f"{place}: exists; --force replaces it")
    except OSError as error:  # a name that is too long, say
        raise UsageError(f"{place}: cannot be used: {error.strerror}") from error


def write_answers(path: Path, predictions: "Sequence[Prediction]", top: int) -> None:
    """Write a header and a line for each image: file, classes, probabilities, error.

    Raises:
        WriteError: the file cannot be written.
    """
    pairs = [("class", "probability")]
    pairs += [(f"class {place}", f"probability {place}") for place in range(2, top + 1)]
    with replacing(path) as fresh, fresh.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *(name for pair in pairs for name in pair), "error"])
        for p in predictions:
            found: list[str] = []
            for label, probability in p.top(top):
                found += [label, f"{probability:.6g}"]
            found += [""] * (2 * top - len(found))
            cells = [p.file, *found, p.error or ""]
            writer.writerow([unicode_only(cell) for cell in cells])
