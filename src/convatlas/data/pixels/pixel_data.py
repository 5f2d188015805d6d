"""Opened images for a task that predicts their values: of one size, with classes or without."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from convatlas.data.images.image_data import ImageData, Split
from convatlas.data.images.read import read_image
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.pixels.levels import VALUES
from convatlas.data.scan_report import ScanReport
from convatlas.errors import DataError
from convatlas.text import printable

MAX_PREDICTED_SIDE = 256  # pixels: images are drawn value by value


class PixelFacts(BaseModel):
    """What a network and its predictor have to know of the images.

    Args:
        classes: the class map; empty where the images have none.
        told: whether the network is told the class of an image.
        channels: 1 for grey, 3 for colour.
        height: of every image, in pixels; `width` too.
        levels: that a value is cut into.
        resized: whether images of other sizes are resized; otherwise they are refused.
        reading: of files; the limits, and what deep numbers mean.
    """

    model_config = ConfigDict(extra="forbid")

    classes: list[str]
    told: bool
    channels: Literal[1, 3]
    height: Annotated[int, Field(ge=1, le=MAX_PREDICTED_SIDE)]
    width: Annotated[int, Field(ge=1, le=MAX_PREDICTED_SIDE)]
    levels: Annotated[int, Field(ge=2, le=VALUES)]
    resized: bool
    reading: Reading = PLAIN

    @property
    def dimensions(self) -> int:
        """Values of an image."""
        return self.channels * self.height * self.width


@dataclass(frozen=True, eq=False)
class PixelSplit:
    """A sequence of images of one size.

    Args:
        images: as they lie in their files, with the class of each.
        train: those to compare with what they say of values alone; None where they are not there.
    """

    images: Split
    facts: PixelFacts
    train: Split | None = None

    @property
    def files(self) -> list[str]:
        """The image's path relative to its source."""
        return self.images.files

    @property
    def labels(self) -> list[int]:
        """The class of each image as its place in the class map; 0 where there are none."""
        return self.images.labels

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> Tensor:
        """Read one image at the size of all. Shape: uint8 (channels, h, w)

        Raises:
            DataError: it has another size and is not to be resized, or cannot be read.
        """
        return of_size(self.images.read(index), self.facts, self.files[index])

    def item(self, index: int) -> Tensor | tuple[Tensor, Tensor]:
        """Read one image as the predictor takes it. Shape: uint8 (h, w, channels), class ()"""
        image = self.read(index).permute(1, 2, 0).contiguous()
        return (image, torch.tensor(self.labels[index])) if self.facts.told else image

    def spaced(self, count: int) -> list[Tensor | tuple[Tensor, Tensor]]:
        """Read evenly spaced images, as `item` does; all where there are no more."""
        count = min(count, len(self))
        return [self.item(number * len(self) // count) for number in range(count)]

    def subset(self, indices: Iterable[int]) -> "PixelSplit":
        """Return the images at these places, in this order; nothing is read or copied."""
        return replace(self, images=self.images.subset(indices))


@dataclass(frozen=True, eq=False)
class PixelData:
    """An opened source: `ImageData`, and what is predicted of it."""

    images: ImageData
    facts_: PixelFacts

    @property
    def name(self) -> str:
        """The source's name, for titles."""
        return self.images.name

    @property
    def source(self) -> str:
        """Where the images lie, in the stored form."""
        return self.images.source

    @property
    def seed(self) -> int:
        """The seed of the split."""
        return self.images.seed

    @property
    def scan(self) -> ScanReport:
        """What was found before training."""
        return self.images.scan

    @property
    def digests(self) -> Mapping[str, str]:
        """What the pixels of each file are known by."""
        return self.images.digests

    @property
    def splits(self) -> dict[str, PixelSplit]:
        """The images of each split."""
        splits = self.images.splits
        train = splits.get("train")
        return {name: PixelSplit(split, self.facts_, train) for name, split in splits.items()}

    def facts(self) -> dict[str, Any]:
        """Return `PixelFacts` as JSON."""
        return self.facts_.model_dump(mode="json")

    def summary(self) -> str:
        """Return what is in it in a few words."""
        facts = self.facts_
        classes = f"{len(facts.classes)} classes, " if facts.classes else ""
        channels = "1 channel" if facts.channels == 1 else f"{facts.channels} channels"
        return f"{classes}{facts.width} x {facts.height} pixels, {channels}, {facts.levels} levels"

    def save(self, path: Path) -> None:
        """Write the splits as JSON, as `ImageData.save` does."""
        self.images.save(path)


def of_size(image: Tensor, facts: PixelFacts, name: str) -> Tensor:
    """Return an image at the size of all: as it is, or resized where that was asked for.

    Args:
        name: of the image, for the message.

    Shape: uint8 (channels, h, w) -> uint8 (channels, facts.height, facts.width)

    Raises:
        DataError: it has another size and is not to be resized.
    """
    size = (facts.height, facts.width)
    if tuple(image.shape[1:]) == size:
        return image
    if not facts.resized:
        raise DataError(
            f"{printable(name)}: must be {facts.width} x {facts.height} pixels, as the images "
            f"that it learned from, got {image.shape[2]} x {image.shape[1]}"
        )
    resized = F.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0]
    return resized.round().clamp(0, 255).to(image.dtype)


def read_given(file: Path, facts: PixelFacts) -> Tensor:
    """Read a file as the images of a run are read. Shape: uint8 (h, w, channels)

    Raises:
        DataError: it cannot be read, or has another size.
    """
    image = read_image(file, facts.channels, facts.reading)
    return of_size(image, facts, str(file)).permute(1, 2, 0).contiguous()
