"""What a source names, before any image is opened: files, their classes and given splits."""

from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Item:
    """One labelled file, by its path from the source's root; `split` where the source gives it."""

    file: str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """All labelled files of a source.

    Args:
        source: the source as messages name it.
        root: the folder that the items' files are relative to.
        ignored: files passed over because of their names.
    """

    source: str
    root: Path
    items: list[Item]
    ignored: list[str] = field(default_factory=list)

    @property
    def given(self) -> set[str]:
        """The splits that the source itself states."""
        return {item.split for item in self.items if item.split is not None}
