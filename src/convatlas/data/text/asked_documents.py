"""The texts that a run is asked to classify: those of `asked_texts`, or a text for each file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from convatlas.data.names import printable
from convatlas.data.text.asked_texts import (
    SUFFIX,
    AskedText,
    asked_line,
    asked_texts,
    names_file,
)
from convatlas.data.text.labelled_data import TextFacts
from convatlas.data.text.read_examples import MAX_CHARACTERS
from convatlas.data.text.read_folders import whole_text
from convatlas.data.text.read_lines import bare_suffix
from convatlas.errors import UsageError


def asked_documents(asked: Any, facts: TextFacts) -> Iterator[AskedText]:
    """Yield the texts asked about; what cannot be used gets an error.

    A text file is one text where the run has whole files, else one for each line.

    Args:
        asked: a path; a text, which is read as a path where it names a file; or several.

    Raises:
        UsageError: it is none of these.
    """
    if not facts.whole_files or not isinstance(asked, Iterable | Path):
        yield from asked_texts(asked)
        return
    several = [asked] if isinstance(asked, str | Path) else asked
    longest = facts.options.get("max_characters") or MAX_CHARACTERS
    for number, each in enumerate(several, start=1):
        if isinstance(each, Path) or (isinstance(each, str) and names_file(each)):
            yield from _whole(Path(each), longest)
        elif isinstance(each, str):
            yield asked_line(f"text {number}", each)
        else:
            raise UsageError(f"texts must be paths or strings, got {type(each).__name__}")


def _whole(path: Path, longest: int) -> Iterator[AskedText]:
    """Yield the text of a file, or of each text file in a folder."""
    name = printable(path)
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if bare_suffix(file) == SUFFIX]
        if not files:
            yield AskedText(str(path), "", f"{name}: holds no text files, *{SUFFIX}")
        for file in files:
            yield from _whole(file, longest)
        return
    text, fault = whole_text(path, longest)
    told = fault if fault.startswith(name) else f"{name}: {fault}"
    yield AskedText(str(path), text, told if fault else None)
