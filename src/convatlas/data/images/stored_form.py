"""What `split.json` must hold: checked before anything relies on it, an error in one sentence."""

from dataclasses import asdict
from pathlib import Path
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

from convatlas.data.images.image_limits import MAX_SIDE
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import StoredPart, first_fault, parts_disagree
from convatlas.errors import DataError

Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
CHANNELS = (1, 3)
SCAN = TypeAdapter(ScanReport)


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
    return parts_disagree(split.source, split.classes, split.splits)
