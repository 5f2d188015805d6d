"""Images that have one answer each: boxes, a mask, or whatever else a `TargetKind` describes.

A lister (`data/boxes`, `data/masks`) says which files there are and what is drawn on each, in
`Annotations`; `open_annotated.py` scans and splits them; what comes out is `AnnotatedData`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from convatlas.data.images.image_data import FileStore, Store
from convatlas.data.images.read import quiet_pillow
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.stored_parts import FORMAT
from convatlas.data.sources.target_findings import TargetFindings
from convatlas.replacing import replacing

T = TypeVar("T")


class UnusableTarget(Exception):
    """An image whose annotation cannot be used as a whole; the message is the reason."""


class TargetKind(Protocol[T]):
    """What the target of an image is: how it is checked, counted, stored and read.

    Attributes:
        word: what `count` counts, in the plural: `boxes`.

    A kind whose targets have further facts that a network, or data opened later, has to know gives
    them in an attribute `facts`, as JSON.
    """

    word: str

    def fit(
        self, file: str, target: T, width: int, height: int, found: TargetFindings, root: Path
    ) -> T:
        """Return the target as it lies on its image, in pixels, noting what was wrong.

        Args:
            width: of the upright image in pixels, which the scan has read; `height` too.
            found: takes what is skipped or mended, with the name that the source gives it.
            root: the folder that files are relative to.

        Raises:
            UnusableTarget: the image cannot be used with it; it counts as a broken file.
        """
        ...

    def count(self, targets: Sequence[T], classes: int) -> list[int]:
        """Count, for each class, what the targets hold of it."""
        ...

    def strata(self, targets: Sequence[T], classes: int) -> list[str]:
        """Return what each image is drawn by, so that rare classes get into every split."""
        ...

    def relabelled(self, target: T, places: Mapping[int, int]) -> T:
        """Return the target with the classes of another map, without those that are not in it."""
        ...

    def pack(self, target: T) -> Any:
        """Return the target for JSON."""
        ...

    def unpack(self, packed: Any, classes: int) -> T:
        """Return what `pack` gave.

        Raises:
            ValueError: it is no such target, or names a class that is not there.
        """
        ...


@dataclass(frozen=True)
class Annotations(Generic[T]):
    """What a source names, before any image is opened.

    Args:
        listing: the files; an item's label is not used.
        targets: by file, of every item.
        classes: the class map of the source, in its own order.
        found: what is wrong with annotations so far.
    """

    listing: Listing
    targets: dict[str, T]
    classes: tuple[str, ...]
    found: TargetFindings = field(default_factory=TargetFindings)


class AnnotatedFacts(BaseModel):
    """What a network and its predictor have to know of annotated images.

    Args:
        classes: the class map; a label is a place in it.
        channels: 1 for grey, 3 for colour.
        height: median of the images, in pixels; `width` too.
        reading: of files; the limits, and what deep numbers mean.
    """

    model_config = ConfigDict(extra="forbid")

    classes: Annotated[list[str], Field(min_length=1)]
    channels: Literal[1, 3]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    reading: Reading = PLAIN

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) < len(classes):
            raise ValueError("one is listed twice")
        return classes


@dataclass(frozen=True, eq=False)
class AnnotatedSplit(Generic[T]):
    """A sequence of images with their targets.

    Args:
        files: the image's path relative to the source's root.
        targets: of each, in pixels of the upright image.
        store: reads an image by its file.
    """

    files: list[str]
    targets: list[T]
    store: Store

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Tensor:
        """Read one image at its original size. Shape: uint8 (channels, h, w)"""
        with quiet_pillow():
            return self.store.read(self.files[index])

    def subset(self, indices: Iterable[int]) -> "AnnotatedSplit[T]":
        """Return the images at these places, in this order; nothing is read or copied."""
        rows = list(indices)
        targets = [self.targets[i] for i in rows]
        return AnnotatedSplit([self.files[i] for i in rows], targets, self.store)


@dataclass(frozen=True, eq=False)
class AnnotatedData(Generic[T]):
    """Everything the main job needs to know of annotated images.

    Args:
        name: short, for titles.
        source: the absolute path, in its stored form (`convatlas.text.true_name` gives it back).
        root: of the files, relative to the folder of the source.
        kind: of the targets.
        classes: the class map; a label is a place in it.
        channels: 1 where every image is grey, else 3.
        height: median of the readable images, upright.
        width: the median of the same images.
        splits: under `train`, `val` and `test`.
        scan: what was found before training.
        seed: of the split.
        reading: the limits, and what the numbers of deep files mean.
        digests: what the pixels of each file are known by; none for a split that was stored.
    """

    name: str
    source: str
    root: str
    kind: TargetKind[T]
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    splits: dict[str, AnnotatedSplit[T]]
    scan: ScanReport
    seed: int
    reading: Reading = PLAIN
    digests: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return `AnnotatedFacts` as JSON, with those of the targets if there are any."""
        known = AnnotatedFacts(
            classes=list(self.classes),
            channels=self.channels,  # pyright: ignore[reportArgumentType]  checked by the model
            height=self.height,
            width=self.width,
            reading=self.reading,
        )
        return known.model_dump(mode="json") | getattr(self.kind, "facts", {})

    def summary(self) -> str:
        """Return what is in it in a few words."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        classes = "1 class" if len(self.classes) == 1 else f"{len(self.classes)} classes"
        return f"{classes} of {self.kind.word}, {self.width} x {self.height} pixels, {channels}"

    def forget_decoded(self) -> None:
        """Give back the memory of images that the scan kept; they are decoded when asked for."""
        for split in self.splits.values():
            if isinstance(split.store, FileStore) and split.store.kept is not None:
                split.store.kept.forget()

    def save(self, path: Path) -> None:
        """Write class map, seed, scan, files and targets of each split, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        stored = {
            "format": FORMAT,
            **{key: getattr(self, key) for key in STORED_FIELDS},
            "reading": self.reading.model_dump(),
            "scan": self.scan.to_dict(),
            "splits": {
                name: {
                    "files": split.files,
                    "targets": [self.kind.pack(target) for target in split.targets],
                    "digests": [self.digests.get(file, "") for file in split.files],
                }
                for name, split in self.splits.items()
            },
        }
        with replacing(path) as fresh:
            fresh.write_text(json.dumps(stored), encoding="utf-8")


STORED_FIELDS = ("name", "source", "root", "classes", "channels", "height", "width", "seed")
