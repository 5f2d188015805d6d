"""A checkpoint: a folder that is there whole or not at all, and in which nothing can run.

Tensors lie in it as safetensors, plain values as JSON, and a manifest says what each file must be.
It is written under another name, brought to the disk, and then takes its name.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from convatlas.errors import DataError
from convatlas.replacing import cannot_write
from convatlas.text import printable

SCHEMA = 1
MANIFEST, TENSORS, VALUES = "manifest.json", "tensors.safetensors", "values.json"
UNFINISHED = ".writing-"  # before the name of a folder that is not whole yet
MAX_JSON_BYTES = 1 << 28


class DamagedCheckpoint(DataError):
    """A checkpoint that is not what its manifest says."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run is at one step.

    Args:
        path: of the folder.
        tensors: by names such as `network/conv.weight`.
        values: what is no tensor, as JSON has it.
    """

    path: Path
    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors under a name, by what follows it."""
        start = f"{name}/"
        return {k.removeprefix(start): t for k, t in self.tensors.items() if k.startswith(start)}


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write a checkpoint; whatever happens, `path` is whole or not there.

    Raises:
        WriteError: it cannot be written.
    """
    with _taking_name(path) as fresh:
        try:
            save_file(_separate(tensors), str(fresh / TENSORS))
        except SafetensorError as error:  # a full disk is one of these, and names no file
            raise cannot_write(path, error) from error
        (fresh / VALUES).write_text(json.dumps(values), encoding="utf-8")
        files = {name: _described(fresh / name) for name in (TENSORS, VALUES)}
        manifest = {"schema": SCHEMA, "files": files}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, held against its manifest.

    Raises:
        DamagedCheckpoint: a file is missing, or is not what was written.
        DataError: another version of this package wrote it, in another schema.
    """
    where = printable(path)
    manifest = _json(path / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DamagedCheckpoint(f"{where}: its manifest cannot be read")
    if manifest.get("schema") != SCHEMA:
        raise DataError(
            f"{where}: has schema {manifest.get('schema')} and this version of convatlas reads "
            f"schema {SCHEMA}; go on with the version that wrote it"
        )
    for name in (TENSORS, VALUES):
        if not (path / name).is_file() or _described(path / name) != manifest["files"].get(name):
            raise DamagedCheckpoint(f"{where}: {name} is not what was written")
    try:
        tensors = load_file(str(path / TENSORS))
    except (SafetensorError, OSError) as error:
        raise DamagedCheckpoint(f"{where}: {TENSORS}: {error}") from None
    values = _json(path / VALUES)
    if not isinstance(values, dict):
        raise DamagedCheckpoint(f"{where}: {VALUES} holds no values by name")
    return Checkpoint(path, tensors, values)


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as safetensors takes them: on the CPU, contiguous, none sharing memory."""
    taken: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        start = plain.untyped_storage().data_ptr()
        if start in seen:
            plain = plain.clone()
        seen.add(plain.untyped_storage().data_ptr())
        taken[name] = plain
    return taken


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


@contextmanager
def _taking_name(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` to write to; it takes the name once all is on the disk."""
    fresh = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        yield fresh
        for each in [*fresh.iterdir(), fresh]:
            _to_disk(each)
        if path.exists():  # of the same step: a folder cannot be replaced in one go
            os.replace(path, fresh.with_name(fresh.name + "-old"))
        os.replace(fresh, path)
        _to_disk(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        for left in (fresh, fresh.with_name(fresh.name + "-old")):
            shutil.rmtree(left, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Bring a file, or what a folder lists, to the disk: a power cut must not undo a name."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
