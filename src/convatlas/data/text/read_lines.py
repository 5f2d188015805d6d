"""The text of a file, compressed or not, with each byte that is no UTF-8 kept where it stands."""

import gzip
import re
import zlib
from pathlib import Path

from convatlas.errors import DataError
from convatlas.text import printable

COMPRESSED = ".gz"
HEAD_BYTES = 1 << 16  # of a file, from which its layout is told
NOT_UTF8 = re.compile("[\ud800-\udfff]")  # what `surrogateescape` makes of a byte that is none
BAD_UTF8 = "is not UTF-8"


def bare_suffix(path: Path) -> str:
    """Return the suffix of a file in small letters, that of compression left out."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix == COMPRESSED else suffix


def bare_stem(path: Path) -> str:
    """Return the name of a file without its suffix, and without that of compression."""
    return Path(path.stem).stem if path.suffix.lower() == COMPRESSED else path.stem


def read_text(path: Path, limit: int = -1) -> str:
    """Return the content of a file; UTF-16 is told by its first bytes.

    Args:
        limit: bytes that are read; all of them where it is negative.

    Raises:
        DataError: the file cannot be read.
    """
    place = printable(path)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b" or path.suffix.lower() == COMPRESSED
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{place}: cannot be unpacked: {printable(error)}") from None
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise DataError(f"{place}: cannot read the file: {reason}") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file without their ends; other separators of Unicode end none.

    Raises:
        DataError: the file cannot be read.
    """
    return lines_of(read_text(path))


def lines_of(text: str) -> list[str]:
    """Return the lines of a text without their ends; a line end at its own end begins none."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines
