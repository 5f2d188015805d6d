"""The texts that a run is asked to classify: files, lines of files, or texts in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convatlas.data.names import printable
from convatlas.data.text.labelled_data import TextFacts
from convatlas.data.text.read_examples import MAX_CHARACTERS, cleaned
from convatlas.data.text.read_folders import whole_text
from convatlas.data.text.read_lines import BAD_UTF8, NOT_UTF8, bare_suffix, read_lines
from convatlas.errors import DataError, UsageError

SUFFIX = ".txt"


@dataclass(frozen=True)
class AskedDocument:
    """One text.

    Args:
        name: its file, its file and line, or `text 3` for the third one in memory.
        text: empty where it cannot be used.
    """

    name: str
    text: str
    error: str | None = None


def asked_documents(asked: Any, facts: TextFacts) -> Iterator[AskedDocument]:
    """Yield the texts asked about; what cannot be used gets an error.

    A text file is one text where the run has whole files, else one for each line.

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
            yield from _of_path(Path(each), facts)
        else:
            yield _checked(f"text {number}", each)


def names_file(text: str) -> bool:
    """Return whether a text in memory is rather the name of a file."""
    try:
        return Path(text).exists() or bare_suffix(Path(text)) == SUFFIX
    except (OSError, ValueError):  # too long for a name
        return False


def _of_path(path: Path, facts: TextFacts) -> Iterator[AskedDocument]:
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if bare_suffix(file) == SUFFIX]
        if not files:
            name = printable(path)
            yield AskedDocument(name, "", f"{name}: holds no text files, *{SUFFIX}")
        for file in files:
            yield from _of_path(file, facts)
    elif facts.whole_files:
        longest = facts.options.get("max_characters") or MAX_CHARACTERS
        text, fault = whole_text(path, longest)
        name = printable(path)
        told = fault if fault.startswith(name) else f"{name}: {fault}"
        yield AskedDocument(name, text, told if fault else None)
    else:
        try:
            lines = read_lines(path)
        except DataError as error:
            yield AskedDocument(printable(path), "", str(error))
            return
        for line, text in enumerate(lines, start=1):
            yield _checked(f"{printable(path)}:{line}", text)


def _checked(name: str, text: str) -> AskedDocument:
    """Return one text, or why it cannot be used."""
    if NOT_UTF8.search(text):
        return AskedDocument(name, "", f"{name}: {BAD_UTF8}")
    text = cleaned(text)
    return AskedDocument(name, text, None if text else f"{name}: is an empty line")
