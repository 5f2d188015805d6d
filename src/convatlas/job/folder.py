"""The run folder while it is being written: claimed by one process, never half a run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from convatlas.errors import UsageError
from convatlas.job.config import FILE_NAMES

LOCK = ".convatlas.lock"
TENSORBOARD = "tensorboard"


def free_folder(name: str) -> Path:
    """`runs/<name>`, or with the first number behind it that is free."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "run"
    folder, number = Path("runs") / stem, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{stem}-{number}"
    return folder


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a place that a run cannot be written to, before any time is spent.

    Raises:
        UsageError: it holds a run already, is in use, is no folder or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file, not a folder")
    owner = _owner(folder)
    if owner is not None:
        raise UsageError(f"--out {folder}: in use by process {owner}; choose another folder")
    if (folder / FILE_NAMES["config"]).exists() and not force:
        raise UsageError(
            f"--out {folder}: holds a run already; choose another folder, or replace it "
            "with --force"
        )
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(f"--out {folder}: no permission to write to {nearest}")


@contextmanager
def claimed(folder: Path, *, force: bool) -> Iterator[Path]:
    """Hold the folder for this process; leave nothing behind if the run comes to nothing.

    Once `run.json` is there the run can be used, and an error after that does not take it away.

    Raises:
        UsageError: as `check_folder`, or the folder cannot be made.
    """
    check_folder(folder, force=force)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).unlink(missing_ok=True)  # of a process that is gone
        with (folder / LOCK).open("x") as lock:
            lock.write(str(os.getpid()))
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written: {error.strerror}") from error
    _clear(folder)
    try:
        yield folder
    except BaseException:
        if not (folder / FILE_NAMES["config"]).exists():
            _clear(folder)
            if made:
                shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        (folder / LOCK).unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what an earlier run wrote; anything else in the folder is the user's."""
    for name in FILE_NAMES.values():
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)


def _owner(folder: Path) -> int | None:
    """The living process that holds the folder."""
    try:
        pid = int((folder / LOCK).read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid
