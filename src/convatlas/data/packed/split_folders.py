"""One data set whose splits are folders of large files each: `train/`, `test/`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convatlas.data.sources.contents import Contents
from convatlas.data.sources.listing import Listing


@dataclass(frozen=True, eq=False)
class SplitContents:
    """Images named `<split>/<their name in it>`."""

    parts: Mapping[str, Contents]

    @property
    def decoded(self) -> bool:
        """Whether all lie as pixels."""
        return all(part.decoded for part in self.parts.values())

    def get(self, file: str) -> bytes | np.ndarray:
        """Return an image from its split."""
        split, _, rest = file.partition("/")
        return self.parts[split].get(rest)

    def holds(self, file: str) -> bool:
        """Return whether there is an image of that name."""
        split, _, rest = file.partition("/")
        return split in self.parts and self.parts[split].holds(rest)


def merge_splits(source: str, root: Path, listings: Mapping[str, Listing]) -> Listing:
    """Return one listing of several, each of which is a split."""
    parts = {split: each.contents for split, each in listings.items() if each.contents is not None}
    merged = Listing(source, root, [], contents=SplitContents(parts))
    for split, each in listings.items():
        merged.items.extend(
            replace(item, file=f"{split}/{item.file}", split=split) for item in each.items
        )
        merged.broken.extend((f"{split}/{file}", reason) for file, reason in each.broken)
        merged.ignored.extend((f"{split}/{file}", reason) for file, reason in each.ignored)
        merged.notes.extend(f"{split}: {note}" for note in each.notes)
    return merged
