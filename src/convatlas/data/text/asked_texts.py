"""The sentences that a run is asked about: lines of text files, or texts in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convatlas.data.names import printable
from convatlas.data.text.read_examples import cleaned
from convatlas.data.text.read_lines import BAD_UTF8, NOT_UTF8, bare_suffix, read_lines
from convatlas.errors import DataError, UsageError

SUFFIX = ".txt"


@dataclass(frozen=True)
class AskedText:
    """One sentence.

    Args:
        file: its path, or `text 3` for the third one in memory.
        text: without spaces around it; empty where it cannot be used.
        line: of the file, from 1.
    """

    file: str
    text: str
    error: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """What messages call it."""
        return printable(self.file) + ("" if self.line is None else f":{self.line}")


def asked_texts(asked: Any) -> Iterator[AskedText]:
    """Yield each line of files, and each text in memory; what cannot be used gets an error.

    Args:
        asked: a path; a text, which is read as a path where it names a file; or several.

    Raises:
        UsageError: it is none of these.
    """
    several: Iterable[Any] = [asked] if isinstance(asked, str | Path) else asked
    if not isinstance(several, Iterable):
        raise UsageError(f"texts must be paths or strings, got {type(asked).__name__}")
    for number, each in enumerate(several, start=1):
        if not isinstance(each, str | Path):
            raise UsageError(f"texts must be paths or strings, got {type(each).__name__}")
        if isinstance(each, Path) or names_file(each):
            yield from _lines(Path(each))
        else:
            yield asked_line(f"text {number}", each)


def names_file(text: str) -> bool:
    """Return whether a text in memory is rather the name of a file."""
    try:
        return Path(text).exists() or bare_suffix(Path(text)) == SUFFIX
    except (OSError, ValueError):  # too long for a name
        return False


def _lines(path: Path) -> Iterator[AskedText]:
    """Yield the lines of a file, or of each text file in a folder."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if bare_suffix(file) == SUFFIX]
        if not files:
            yield AskedText(str(path), "", f"{printable(path)}: holds no text files, *{SUFFIX}")
        for file in files:
            yield from _lines(file)
        return
    try:
        for line, text in enumerate(read_lines(path), start=1):
            yield asked_line(str(path), text, line)
    except DataError as error:
        yield AskedText(str(path), "", str(error))


def asked_line(file: str, text: str, line: int | None = None) -> AskedText:
    """Return one sentence, or why it cannot be used.

    Args:
        file: or what stands for one in messages.
    """
    made = AskedText(file, "" if NOT_UTF8.search(text) else cleaned(text), None, line)
    if made.text:
        return made
    return replace(made, error=f"{made.place}: {BAD_UTF8 if text.strip() else 'is an empty line'}")
