"""What a job was asked for, as it lies in the folder of its checkpoints so that it can go on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.errors import DataError
from convatlas.pipeline.config import CHECKPOINTS
from convatlas.replacing import replacing
from convatlas.text import printable, stored_name

JOB = "job.json"  # in the folder of checkpoints
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def job_file(folder: Path) -> Path:
    """Return where a run, or a folder that one is built in, says what was asked for."""
    return folder / CHECKPOINTS / JOB


def write_job(folder: Path, verb: str, asked: Mapping[str, Any]) -> None:
    """Write what was asked for into a folder that a run is built in.

    Raises:
        WriteError: it cannot be written.
        TypeError: a value is nothing that JSON has.
    """
    text = json.dumps({"verb": verb, **asked}, indent=1)
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    with replacing(job_file(folder)) as fresh:
        fresh.write_text(text, encoding="utf-8")


def stored_job(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the verb and what was asked of it.

    Raises:
        DataError: it is not there, or is no JSON with a verb.
    """
    path = job_file(folder)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored.pop("verb"), stored
    except UNREADABLE as error:
        raise unreadable(folder, error) from None


def unreadable(folder: Path, error: Exception) -> DataError:
    """Return the error of a job that cannot be read."""
    return DataError(f"{printable(job_file(folder))}: cannot be read ({error})")


def placed(word: str) -> str:
    """Return a path as it is found from anywhere; what is no path stays."""
    return stored_name(os.path.abspath(word)) if os.path.exists(word) else stored_name(word)
