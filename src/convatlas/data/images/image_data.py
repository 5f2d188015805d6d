"""An opened data set: its class map, its splits and what the scan found."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.many_channels import MAX_IMAGE_CHANNELS
from convatlas.data.images.read import decode, quiet_pillow
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import file_path, printable
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.contents import Contents, UnreadableContent
from convatlas.data.sources.stored_parts import FORMAT
from convatlas.errors import DataError
from convatlas.replacing import replacing


class ImageFacts(BaseModel):
    """What a network and its predictor have to know of images with classes.

    Args:
        classes: the class map; a label is a place in it.
        channels: 1 for grey, 3 for colour, or as many as the files have.
        height: median of the images, in pixels; `width` too.
        reading: of files; the limits, and what deep numbers mean.
    """

    model_config = ConfigDict(extra="forbid")

    classes: Annotated[list[str], Field(min_length=2)]
    channels: Annotated[int, Field(ge=1, le=MAX_IMAGE_CHANNELS)]
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    reading: Reading = PLAIN

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) < len(classes):
            raise ValueError("one is listed twice")
        return classes


class Store(Protocol):
    """Where the pixels of a data set come from, by the name of the image."""

    def read(self, file: str, enough: int | None = None) -> Tensor:
        """Read an image; safe in threads inside one `quiet_pillow`. Shape: uint8 (c, h, w)

        Args:
            enough: pixels of the shorter side that will do, where less takes less time.
        """
        ...


@dataclass(frozen=True)
class FileStore:
    """Image files under a folder, decoded when asked for, where the scan did not keep them.

    Args:
        contents: where the images lie, if not each in a file of its own.
    """

    root: Path
    channels: int
    reading: Reading = PLAIN
    kept: KeptPixels | None = field(default=None, compare=False)
    contents: Contents | None = None

    def read(self, file: str, enough: int | None = None) -> Tensor:
        image = None if self.kept is None else self.kept.get(file, self.channels, enough)
        if image is not None:
            return image
        path = file_path(self.root, file)
        try:
            content = None if self.contents is None else self.contents.get(file)
        except UnreadableContent as error:
            raise DataError(f"{printable(path)}: {error}") from None
        return decode(path, self.channels, self.reading, content, enough)


@dataclass(frozen=True, eq=False)
class PixelStore:
    """Images in memory, named `<anything>/<row>`. Shape: uint8 (n, channels, h, w)."""

    pixels: Tensor

    def read(self, file: str, enough: int | None = None) -> Tensor:
        return self.pixels[int(file.rpartition("/")[2])]


@dataclass(frozen=True, eq=False)
class Split:
    """A sequence of labelled images.

    Args:
        files: the image's path relative to its source, or `digits/00017`.
        labels: the class of each as its place in the class map.
        store: reads an image by its file.
    """

    files: list[str]
    labels: list[int]
    store: Store

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Tensor:
        """Read one image at its original size. Shape: uint8 (channels, h, w)"""
        with quiet_pillow():
            return self.store.read(self.files[index])

    def subset(self, indices: Iterable[int]) -> "Split":
        """Return the images at these places, in this order; nothing is read or copied."""
        rows = list(indices)
        return Split([self.files[i] for i in rows], [self.labels[i] for i in rows], self.store)


@dataclass(frozen=True, eq=False)
class ImageData:
    """Everything the main job needs to know of a data set.

    Args:
        name: short, for titles.
        source: `digits`, or the absolute path of the folder or CSV file, in its stored form
            (`convatlas.text.true_name` gives the path).
        classes: the class map; a label is a place in it.
        channels: 1 where every image is grey, else 3, or as many as the files have.
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
    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    splits: dict[str, Split]
    scan: ScanReport
    seed: int
    reading: Reading = PLAIN
    digests: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return `ImageFacts` as JSON."""
        known = ImageFacts(
            classes=list(self.classes),
            channels=self.channels,
            height=self.height,
            width=self.width,
            reading=self.reading,
        )
        return known.model_dump(mode="json")

    def forget_decoded(self) -> None:
        """Give back the memory of images that the scan kept; they are decoded when asked for."""
        for split in self.splits.values():
            if isinstance(split.store, FileStore) and split.store.kept is not None:
                split.store.kept.forget()

    def summary(self) -> str:
        """Return what is in it in a few words."""
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{len(self.classes)} classes, {self.width} x {self.height} pixels, {channels}"

    def save(self, path: Path) -> None:
        """Write class map, seed, scan and the files of each split as JSON, whole or not at all.

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
                    "labels": split.labels,
                    "digests": [self.digests.get(file, "") for file in split.files],
                }
                for name, split in self.splits.items()
            },
        }
        with replacing(path) as fresh:
            fresh.write_text(json.dumps(stored, indent=1), encoding="utf-8")


STORED_FIELDS = ("name", "source", "classes", "channels", "height", "width", "seed")
