"""Opening images whose values are predicted: with classes as `classify` takes them, or without."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convatlas.data.images.image_data import ImageData
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.loose import holds_loose
from convatlas.data.images.open import open_images, open_test
from convatlas.data.images.stored_reading import Reading
from convatlas.data.images.stored_split import load_split
from convatlas.data.names import printable
from convatlas.data.pixels.levels import VALUES
from convatlas.data.pixels.pixel_data import MAX_PREDICTED_SIDE, PixelData, PixelFacts
from convatlas.errors import DataError, UsageError

LAYOUTS = (
    "a folder of images without classes, or train/ and perhaps val/ and test/ of such",
    "whatever `classify` takes: CLASS/files, a CSV file with labels, `digits`",
)
Tell = Callable[[int, int], None]


def open_pixels(
    source: str | Path,
    *,
    seed: int,
    max_broken: float,
    levels: int = VALUES,
    size: int | None = None,
    told: bool = False,
    reading: Reading,
    progress: Tell,
) -> PixelData:
    """Open images for training; those with a class in their path or table have classes.

    Args:
        levels: that a value is cut into.
        size: side in pixels that all are resized to; None takes them as they are.
        told: whether the network is told the class of an image.

    Raises:
        DataError: the images are of several sizes or too large, or cannot be used.
        UsageError: classes are to be told and there are none.
    """
    loose = holds_loose(source)
    if told and loose:
        raise UsageError(
            f"by_class: {printable(source)} has no classes; put the images into one folder per "
            "class, or leave by_class out"
        )
    images = open_images(
        source,
        seed=seed,
        max_broken=max_broken,
        reading=reading,
        progress=progress,
        kept=KeptPixels(),
        loose=loose,
    )
    height, width = (size, size) if size is not None else _own_size(images)
    facts = PixelFacts(
        classes=[] if loose else list(images.classes),
        told=told,
        channels=images.channels,  # pyright: ignore[reportArgumentType]  checked by the model
        height=height,
        width=width,
        levels=levels,
        resized=size is not None,
        reading=images.reading,
    )
    return PixelData(images, facts)


def open_pixels_test(
    source: str | Path, facts: Mapping[str, Any], *, max_broken: float, progress: Tell
) -> PixelData:
    """Open images to judge a run on: one split, `test`.

    Raises:
        DataError: as `open_pixels`, or the classes are not those of the run.
    """
    known = PixelFacts.model_validate(facts)
    loose = not known.told and (not known.classes or holds_loose(source))
    images = open_test(
        source,
        known.classes,
        max_broken=max_broken,
        reading=known.reading,
        progress=progress,
        loose=loose,
    )
    return PixelData(images, known)


def reopen_pixels(stored: Path, source: str | Path | None, facts: Mapping[str, Any]) -> PixelData:
    """Open the splits that were stored, with what the run says of them.

    Raises:
        DataError: they are damaged, gone, or say otherwise than the run.
    """
    known, images = PixelFacts.model_validate(facts), load_split(stored, source)
    if known.classes and list(images.classes) != known.classes:
        raise DataError(f"{printable(stored)}: has other classes than the run.json beside it")
    return PixelData(images, known)


def _own_size(images: ImageData) -> tuple[int, int]:
    """Return the height and width that all images have."""
    sizes = images.scan.sizes
    (low, _, high), (thin, _, wide) = sizes["height"], sizes["width"]
    where = printable(images.source)
    if low != high or thin != wide:
        raise DataError(
            f"{where}: images must be of one size, got widths from {thin} to {wide} and heights "
            f"from {low} to {high}; --set size=32 resizes all of them to 32 x 32"
        )
    if max(high, wide) > MAX_PREDICTED_SIDE:
        raise DataError(
            f"{where}: images must have at most {MAX_PREDICTED_SIDE} pixels a side, got "
            f"{wide} x {high}; --set size=32 resizes them to 32 x 32"
        )
    return high, wide
