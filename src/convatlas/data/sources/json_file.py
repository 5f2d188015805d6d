"""JSON files of a source: found by what they mention, read whole."""

import json
import mmap
import re
from pathlib import Path
from typing import Any

from convatlas.data.names import printable
from convatlas.errors import DataError


def json_files(source: Path) -> list[Path]:
    """Return the JSON files in a folder and in the folders in it, or the file itself."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" else []
    if not source.is_dir():
        return []
    folders = [source, *(entry for entry in sorted(source.iterdir()) if entry.is_dir())]
    return [file for folder in folders for file in sorted(folder.glob("*.json"))]


def mentions(path: Path, begin: bytes, *patterns: bytes) -> bool:
    """Return whether a file begins so, and holds what each regular expression describes.

    Nothing is parsed: annotations of many images take long to parse, and a task is told by them.
    """
    try:
        with path.open("rb") as file:
            if not file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(begin):
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return all(re.search(pattern, content) for pattern in patterns)
    except OSError:
        return False  # opening it says what is wrong


def damaged_json(source: Path) -> str:
    """Return a sentence on a JSON file of a source that cannot be read; empty where there is none.

    A damaged file has no layout, so that a source seems to hold nothing but images.
    """
    for file in json_files(source):
        try:
            read_json(file)
        except DataError as error:
            return f"\n{error}"
    return ""


def read_json(path: Path) -> Any:
    """Return the content of a file.

    Raises:
        DataError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"{printable(path)}: cannot read the file: {reason}") from None
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else printable(error)
        raise DataError(f"{printable(path)}: cannot be read as JSON: {reason}") from None
