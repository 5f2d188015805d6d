"""Annotated images by the split that a run stored, so its test set is exactly its own."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from convatlas.data.images.annotated import STORED_FIELDS, AnnotatedData, AnnotatedSplit, TargetKind
from convatlas.data.images.image_data import FileStore
from convatlas.data.images.stored_form import CHANNELS, Side
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import (
    check_present,
    checked_split,
    learnt_digests,
    no_split,
    stored_root,
)

T = TypeVar("T")
MAX_NAME = 4096  # bytes: no file's path is longer


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)

    files: list[StrictStr]
    targets: list[Any]
    digests: list[StrictStr]


class _Stored(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    name: StrictStr
    source: StrictStr
    root: StrictStr
    classes: list[StrictStr] = Field(min_length=1)
    channels: StrictInt
    height: Side
    width: Side
    seed: StrictInt
    reading: Reading = PLAIN
    scan: dict[str, Any]
    splits: dict[StrictStr, _Part]


def load_annotated(
    path: str | Path, kind: TargetKind[T], source: str | Path | None = None
) -> AnnotatedData[T]:
    """Open the data as they stood when `AnnotatedData.save` wrote this file.

    Images are not read again; only that every file is still there is checked.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the stored split is damaged, or a file of it has vanished.
    """
    path = Path(path)
    stored, scan = _read(path)
    place = Path(true_name(stored.source) if source is None else source).resolve()
    root = stored_root(place, true_name(stored.root))
    check_present(path, root, stored.model_dump()["splits"])
    store = FileStore(root, stored.channels, stored.reading)
    splits = {}
    for name, part in stored.splits.items():
        try:
            targets = [kind.unpack(packed, len(stored.classes)) for packed in part.targets]
        except (ValueError, TypeError, KeyError) as error:
            raise no_split(path, f"{printable(name)}: {printable(error)}") from None
        splits[name] = AnnotatedSplit(part.files, targets, store)
    fields = {key: getattr(stored, key) for key in STORED_FIELDS}
    fields |= {"classes": tuple(stored.classes), "source": stored_name(place)}
    return AnnotatedData(**fields, kind=kind, splits=splits, scan=scan, reading=stored.reading)


def learnt_from(path: str | Path) -> set[str] | None:
    """Return the digests of what was trained or validated on; None: none are stored.

    Raises:
        DataError: the stored split is damaged.
    """
    return learnt_digests(_read(Path(path))[0].model_dump()["splits"])


def _read(path: Path) -> tuple[_Stored, ScanReport]:
    return checked_split(path, _Stored, _disagreement)


def _disagreement(split: _Stored) -> str:
    """What the parts say against each other; empty where they agree."""
    if split.channels not in CHANNELS:
        return f"channels must be 1 or 3, got {split.channels}"
    if len(set(split.classes)) < len(split.classes):
        return "classes must differ"
    if "test" not in split.splits:
        return "splits must contain test"
    for name, part in split.splits.items():
        if not len(part.files) == len(part.targets) == len(part.digests):
            return f"{printable(name)} must have as many targets and digests as files"
        wrong = [f for f in part.files if not f or "\0" in true_name(f) or len(f) > MAX_NAME]
        if wrong:
            return f"{printable(name)} names a file {printable(wrong[0][:40])!r}"
    return ""
