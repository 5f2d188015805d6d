"""What a source names, before any image is opened: files, their classes and given splits."""

from dataclasses import dataclass, field
from pathlib import Path

from convatlas.data.sources.contents import Contents
from convatlas.data.sources.split_names import SPLITS

__all__ = ["SPLITS", "Item", "Listing"]


@dataclass(frozen=True, slots=True)  # a million of them may be held
class Item:
    """One labelled file, by its path from the source's root; `split` where the source gives it.

    File and label are in the form that can be stored: `names.file_path` gives the real path.
    """

    file: str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """All labelled files of a source.

    Args:
        source: the source as messages name it.
        root: the folder that the items' files are relative to.
        ignored: files passed over because of their names, each with the reason.
        broken: what is named but cannot be used, each with the reason; counts as a broken file.
        notes: sentences on how the source was understood.
        places: where an item stands in its source, such as `line 3`.
        groups: by file, what it is of one source with: they are not split.
        folds: by file, the fold that the source states; none where it gives splits instead.
        contents: where the images lie, if not each in a file of its own.
    """

    source: str
    root: Path
    items: list[Item]
    ignored: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    folds: dict[str, str] = field(default_factory=dict)
    contents: Contents | None = None

    @property
    def given(self) -> set[str]:
        """The splits that the source itself states."""
        return {item.split for item in self.items if item.split is not None}
