"""Why an image file cannot be used, in words for people."""

import stat
from pathlib import Path

from PIL import Image

from convatlas.data.names import printable


class UnreadableImage(Exception):
    """An image file that cannot be used; the message is the reason, without the file."""


def check_file(path: Path) -> None:
    """Refuse what is no regular file (a pipe would block for ever) or holds nothing."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage("not a regular file")
    if found.st_size == 0:
        raise UnreadableImage("the file is empty")


def reason_of(error: Exception) -> str:
    """Return a short reason for people from what Pillow or the system raised."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image in a format that Pillow reads"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror.lower())
    text = printable(error) or type(error).__name__
    cut_off = any(word in text.lower() for word in ("truncated", "unexpected end", "ran out"))
    return f"truncated ({text})" if cut_off else f"damaged ({text})"
