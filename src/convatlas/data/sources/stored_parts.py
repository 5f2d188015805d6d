"""What every stored split holds, whatever its files are: checked before anything relies on it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, StrictInt, StrictStr, TypeAdapter, ValidationError

from convatlas.data.names import file_path, printable, printable_few, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.slice_names import file_of
from convatlas.data.sources.contents import Contents
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

FORMAT = 1  # of the stored split
_SCAN = TypeAdapter(ScanReport)

Form = TypeVar("Form", bound=BaseModel)


class StoredPart(BaseModel):
    """One split: files, the class of each as its place in the class map, their digests."""

    model_config = ConfigDict(frozen=True)

    files: list[StrictStr]
    labels: list[StrictInt]
    digests: list[StrictStr] | None = None  # older runs stored none


def parts_disagree(source: str, classes: Sequence[str], splits: Mapping[str, StoredPart]) -> str:
    """Return what the splits say against classes and source; empty where they agree."""
    if len(set(classes)) < len(classes):
        return "classes must differ"
    if "test" not in splits:
        return "splits must contain test"
    for name, part in splits.items():
        lengths = {len(part.files), len(part.labels), len(part.digests or part.files)}
        if len(lengths) > 1:
            return f"{printable(name)} must have as many labels and digests as files"
        wrong = [label for label in part.labels if not 0 <= label < len(classes)]
        if wrong:
            return f"{printable(name)} has the label {wrong[0]} of {len(classes)} classes"
        outside = [file for file in part.files if not may_name(source, file)]
        if outside:
            return (
                f"{printable(name)} names {printable(outside[0])}, "
                f"which is not in {printable(source)}"
            )
    return ""


def may_name(source: str, file: str) -> bool:
    """Return whether the source can have such a file: only a CSV file names some elsewhere."""
    if source == "digits":
        row = file.rpartition("/")[2]
        return row.isascii() and row.isdigit() and len(row) < 9
    place = true_name(file)
    if not place or "\0" in place or len(place) > 4096:
        return False
    if Path(true_name(source)).suffix.lower() in SUFFIXES:
        return True
    return not Path(place).is_absolute() and ".." not in PurePosixPath(place).parts


def checked_split(
    path: Path, form: type[Form], disagreement: Callable[[Form], str]
) -> tuple[Form, ScanReport]:
    """Read a stored split, checked for what the rest relies on.

    Args:
        form: of the whole file; what the scan found stands under `scan`.
        disagreement: returns what the parts say against each other, empty where they agree.

    Raises:
        DataError: it cannot be read, is no such split, or does not agree with itself.
    """
    content = parsed(path)
    check_format(path, content)
    try:
        stored = form.model_validate(content)
        scan = ScanReport.from_dict(content["scan"])
        _SCAN.validate_python(asdict(scan))
        fault = disagreement(stored)
    except ValidationError as error:
        raise no_split(path, _first_fault(error)) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise no_split(path, f"scan: {printable(error)}") from None
    if fault:
        raise no_split(path, fault)
    return stored, scan


def _first_fault(error: ValidationError) -> str:
    """The first thing that pydantic found: where, and what."""
    fault = error.errors(include_url=False)[0]
    return (
        f"{printable('.'.join(map(str, fault['loc'])) or 'all of it')}: {printable(fault['msg'])}"
    )


def parsed(path: Path) -> Any:
    """Return the JSON of a file of a run.

    Raises:
        DataError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read the split: {error.strerror}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else printable(error)
        raise DataError(f"{printable(path)}: must be a stored split in JSON: {reason}") from None


def check_format(path: Path, stored: Any) -> None:
    """Refuse a format that this version does not know."""
    if isinstance(stored, dict) and stored.get("format", FORMAT) != FORMAT:
        raise DataError(
            f"{printable(path)}: must have format {FORMAT}, got "
            f"{printable(str(stored['format'])[:40])}"
        )
    if not isinstance(stored, dict) or type(stored.get("format")) is not int:
        raise DataError(f"{printable(path)}: must be a split stored by convatlas (format: missing)")


def stored_root(source: Path, root: str) -> Path:
    """Return where the files of a stored split lie, by where its source lies now.

    Args:
        root: relative to the folder of the source, or of the file that it is.
    """
    folder = source if source.is_dir() or not source.suffix else source.parent
    return (folder / root).resolve()


def no_split(path: Path, fault: str) -> DataError:
    """Return the error of a file that is no stored split, with the first thing wrong."""
    return DataError(f"{printable(path)}: must be a split stored by convatlas ({fault})")


def check_present(path: str | Path, root: Path, splits: dict[str, dict]) -> None:
    """Refuse a stored split some files of which have vanished."""
    files = dict.fromkeys(file_of(file) for part in splits.values() for file in part["files"])
    gone = [file for file in files if not file_path(root, file).is_file()]
    if gone:
        raise DataError(
            f"{printable(root)}: must still contain the files of {printable(path)}, {len(gone)} "
            f"missing: {printable_few(gone)}; put them back, or name the place the data moved to"
        )


def check_held(path: str | Path, source: Path, splits: dict[str, dict], contents: Contents) -> None:
    """Refuse a stored split some images of which are not inside of the source any more."""
    gone = [f for part in splits.values() for f in part["files"] if not contents.holds(f)]
    if gone:
        raise DataError(
            f"{printable(source)}: must still hold the images of {printable(path)}, {len(gone):,} "
            f"missing: {printable_few(gone)}"
        )


def learnt_digests(splits: Mapping[str, Mapping[str, Any]]) -> set[str] | None:
    """Return the digests of what was trained or validated on; None: none are stored."""
    found: set[str] = set()
    for name in ("train", "val"):
        digests = splits.get(name, {}).get("digests")
        if digests is None:
            return None
        found.update(digest for digest in digests if digest)
    return found
