"""What `split.json` must hold: checked before anything relies on it, an error in one sentence."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from convatlas.data.images.image_limits import MAX_SIDE
from convatlas.data.images.many_channels import MAX_IMAGE_CHANNELS
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.sources.stored_parts import StoredPart, parts_disagree

Side = Annotated[StrictInt, Field(ge=1, le=MAX_SIDE)]
CHANNELS = (1, 3)  # of images with boxes or masks


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
    if not 1 <= split.channels <= MAX_IMAGE_CHANNELS:
        return f"channels must lie in 1..{MAX_IMAGE_CHANNELS}, got {split.channels}"
    return parts_disagree(split.source, split.classes, split.splits)
