"""What `split.json` must hold: checked before anything relies on it, an error in one sentence."""

import json
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from convatlas.data.images.image_data import FORMAT
from convatlas.data.images.image_limits import MAX_SIDE
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
CHANNELS = (1, 3)
SCAN = TypeAdapter(ScanReport)


class StoredPart(BaseModel):
    """One split: files, the class of each as its place in the class map, their digests."""

    model_config = ConfigDict(frozen=True)

    files: list[StrictStr]
    labels: list[StrictInt]
    digests: list[StrictStr] | None = None  # older runs stored none


class StoredSplit(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    name: StrictStr
    source: StrictStr
    classes: list[StrictStr] = Field(min_length=1)
    channels: StrictInt
    height: Side
    width: Side
    seed: StrictInt
    reading: Reading = PLAIN  # older runs stored none
    scan: dict[str, Any]
    splits: dict[StrictStr, StoredPart]


def first_fault(error: ValidationError) -> str:
    """Return the first thing that pydantic found: where, and what."""
    fault = error.errors(include_url=False)[0]
    return (
        f"{printable('.'.join(map(str, fault['loc'])) or 'all of it')}: {printable(fault['msg'])}"
    )


def check_stored(path: Path, stored: Any) -> None:
    """Refuse what is no stored split, or one that does not agree with itself.

    Raises:
        DataError: a key is missing or of the wrong kind, a number out of its range, a label
            without its class, or a file outside the data.
    """
    try:
        split = StoredSplit.model_validate(stored)
        SCAN.validate_python(asdict(ScanReport.from_dict(split.scan)))
        fault = disagreement(split)
    except ValidationError as error:
        fault = first_fault(error)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        fault = f"scan: {printable(error)}"
    if fault:
        raise DataError(f"{printable(path)}: must be a split stored by convatlas ({fault})")


def disagreement(split: StoredSplit) -> str:
    """Return what the parts of a stored split say against each other; empty where they agree."""
    if split.channels not in CHANNELS:
        return f"channels must be 1 or 3, got {split.channels}"
    if len(set(split.classes)) < len(split.classes):
        return "classes must differ"
    if "test" not in split.splits:
        return "splits must contain test"
    for name, part in split.splits.items():
        lengths = {len(part.files), len(part.labels), len(part.digests or part.files)}
        if len(lengths) > 1:
            return f"{printable(name)} must have as many labels and digests as files"
        wrong = [label for label in part.labels if not 0 <= label < len(split.classes)]
        if wrong:
            return f"{printable(name)} has the label {wrong[0]} of {len(split.classes)} classes"
        outside = [file for file in part.files if not may_name(split.source, file)]
        if outside:
            return (
                f"{printable(name)} names {printable(outside[0])}, "
                f"which is not in {printable(split.source)}"
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
