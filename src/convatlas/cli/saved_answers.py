"""The files of `predict --save`: what an answer consists of; nothing is replaced unasked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convatlas.errors import UsageError
from convatlas.text import printable

if TYPE_CHECKING:
    from convatlas.tasks.answers import Prediction


def check_save_folder(folder: Path) -> None:
    """Refuse, before any work, a path that is a file.

    Raises:
        UsageError: it is one.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"predict: --save {printable(folder)}: must be a folder, got a file")


def save_answers(folder: Path, predictions: "Sequence[Prediction]", *, force: bool) -> list[Path]:
    """Write the files of every answer that has some; two of one name get numbers.

    Raises:
        UsageError: answers of this task are no files, or a file is there already.
        WriteError: a file cannot be written.
    """
    answers: list[Any] = [each for each in predictions if not each.error]
    if answers and not hasattr(answers[0], "save"):
        raise UsageError("predict: --save is for answers that are files, such as masks; use --out")
    stems: list[str] = []
    for answer in answers:
        stem, number = answer.stem, 2
        while stem in stems:
            stem, number = f"{answer.stem}-{number}", number + 1
        stems.append(stem)
    pairs = list(zip(answers, stems, strict=True))
    if not force:
        for answer, stem in pairs:
            there = [path for path in answer.paths(folder, stem) if path.exists()]
            if there:
                raise UsageError(
                    f"predict: --save: {printable(there[0])} is there already; --force replaces it"
                )
    return [path for answer, stem in pairs for path in answer.save(folder, stem)]
