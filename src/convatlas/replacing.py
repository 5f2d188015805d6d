"""Write a file beside its name and let it take the name when it is whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convatlas.errors import WriteError
from convatlas.text import printable


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path in the same folder to write to; it becomes `path` when the block ends well.

    Whatever happens, `path` holds the old content or the new, never half of it, and it has the
    permissions that any new file of the user gets.

    Raises:
        WriteError: the file cannot be written; the message names it and the reason.
    """
    fresh = path.with_name(f".new-{os.getpid()}-{secrets.token_hex(4)}{path.suffix[:8]}")
    try:
        fresh.touch()
        mode = fresh.stat().st_mode  # by the umask; some writers make a file of their own
        yield fresh
        fresh.chmod(mode)
        _to_disk(fresh)
        os.replace(fresh, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        fresh.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Write content to the disk: a file that has its name before is empty after a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def cannot_write(path: Path, error: Exception) -> WriteError:
    """Return the error of a file that cannot be written, with the reason that the system gives."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return WriteError(f"{printable(path)}: cannot be written: {reason}")
