"""The options of generating, checked before any work."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.images.stored_reading import OPTIONS as READING
from convatlas.data.pixels.levels import VALUES
from convatlas.data.pixels.pixel_data import MAX_PREDICTED_SIDE
from convatlas.errors import UsageError
from convatlas.tasks.class_task import check_names
from convatlas.tasks.images import reading_of

BINARY = "binary"
OPTIONS = (*READING, "levels", "size", "by_class")
MIN_PREDICTED_SIDE = 4  # pixels


def check_pixel_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    check_names(options, OPTIONS)
    reading_of(options)
    check_size(options)
    levels = options.get("levels", VALUES)
    if levels != BINARY and not is_whole(levels, 2, VALUES):
        raise UsageError(
            f"levels must be a whole number from 2 to {VALUES}, or {BINARY}, got {levels!r}"
        )
    if not isinstance(options.get("by_class", False), bool):
        raise UsageError(f"by_class must be true or false, got {options['by_class']!r}")


def check_size(options: Mapping[str, Any]) -> None:
    """Refuse a side to resize to that no run can have.

    Raises:
        UsageError: `size` is none.
    """
    size = options.get("size", MIN_PREDICTED_SIDE)
    if not is_whole(size, MIN_PREDICTED_SIDE, MAX_PREDICTED_SIDE):
        raise UsageError(
            f"size must be a whole number of pixels from {MIN_PREDICTED_SIDE} to "
            f"{MAX_PREDICTED_SIDE}, got {size!r}"
        )


def pixel_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as `open_pixels` takes them."""
    levels, size = options.get("levels", VALUES), options.get("size")
    return {
        "levels": 2 if levels == BINARY else int(levels),
        "size": None if size is None else int(size),
        "told": options.get("by_class", False),
    }


def is_whole(value: Any, low: int, high: int) -> bool:
    """Return whether it is a whole number; the command line gives `4` as 4.0."""
    return type(value) in (int, float) and low <= value <= high and value == int(value)
