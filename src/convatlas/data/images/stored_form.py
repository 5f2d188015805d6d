"""What `split.json` must hold: checked before anything relies on it, an error in one sentence."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from convatlas.data.images.image_limits import MAX_SIDE
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.sources.stored_parts import StoredPart, parts_disagree

Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
CHANNELS = (1, 3)


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


def disagreement(split: StoredSplit) -> str:
    """Return what the parts of a stored split say against each other; empty where they agree."""
    if split.channels not in CHANNELS:
        return f"channels must be 1 or 3, got {split.channels}"
    return parts_disagree(split.source, split.classes, split.splits)
