"""Opening a data set by the split that a run stored, so its test set is exactly its own."""

from pathlib import Path

from convatlas.data.images.digits import load_digits
from convatlas.data.images.image_data import (
    STORED_FIELDS,
    FileStore,
    ImageData,
    PixelStore,
    Split,
    Store,
)
from convatlas.data.images.stored_form import StoredSplit, disagreement
from convatlas.data.images.stored_reading import Reading
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.packed.hub import is_hub_name
from convatlas.data.packed.recognise import list_packed
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import (
    check_held,
    check_present,
    checked_split,
    learnt_digests,
)
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError


def load_split(path: str | Path, source: str | Path | None = None) -> ImageData:
    """Open the data set as it stood when `ImageData.save` wrote this file.

    Images are not read again; only that every file is still there is checked.

    Args:
        source: where the data lies now, if it moved.

    Raises:
        DataError: the stored split is damaged, or a file of it has vanished.
    """
    stored = read_stored(Path(path))
    place = true_name(stored["source"]) if source is None else str(source)
    reading = Reading.model_validate(stored.get("reading", {}))  # older runs stored none
    if stored["source"] == "digits":
        pixels = load_digits()[0]
        check_rows(Path(path), stored["splits"], len(pixels))
        store: Store = PixelStore(pixels)
    else:
        root = Path(place) if is_hub_name(place) else Path(place).resolve()
        table = root.suffix.lower() in SUFFIXES and not root.is_dir()
        root = root.parent if table else root
        packed = list_packed(place, need_train=False)
        contents = None if packed is None else packed.contents
        if contents is None:
            check_present(path, root, stored["splits"])
        else:
            check_held(path, root, stored["splits"], contents)
        store = FileStore(root, stored["channels"], reading, contents=contents)
        place = stored_name(root if contents is not None else Path(place).resolve())
    splits = {
        name: Split(part["files"], part["labels"], store) for name, part in stored["splits"].items()
    }
    scan = ScanReport.from_dict(stored["scan"])
    fields = {key: stored[key] for key in STORED_FIELDS}
    fields |= {"classes": tuple(stored["classes"]), "source": place}
    return ImageData(**fields, splits=splits, scan=scan, reading=reading)


def learnt_from(path: str | Path) -> set[str] | None:
    """Return the digests of what was trained or validated on; None: none are stored.

    Raises:
        DataError: the stored split is damaged.
    """
    return learnt_digests(read_stored(Path(path))["splits"])


def read_stored(path: Path) -> dict:
    """Read the JSON of a stored split, checked for what the rest relies on.

    Raises:
        DataError: it cannot be read, is no such split, or does not agree with itself.
    """
    return checked_split(path, StoredSplit, disagreement)[0].model_dump()


def check_rows(path: Path, splits: dict[str, dict], count: int) -> None:
    """Refuse digits that are not there."""
    for part in splits.values():
        for file in part["files"]:
            if int(file.rpartition("/")[2]) >= count:
                raise DataError(f"{printable(path)}: names {printable(file)} of {count:,} digits")
