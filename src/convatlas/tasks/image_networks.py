"""Which networks are tried on images: at which sizes, with which stem."""

from collections.abc import Mapping, Sequence
from typing import Any

from convatlas.models.registry import Entry, find_entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate, width_sweeps

PHOTO_SIZES = (224, 192, 160, 128, 96, 64, 48)
TRANSFER_SIZES = (224, 192, 160, 128, 96)
MIN_TRANSFER = 128  # pixels: smaller images are enlarged to what public weights know
SMALL_SIDE = 48  # pixels: up to here images are small, and every one of them counts
MIDDLE_SIDE = 112  # pixels: up to here the first layers may halve the image once
Rows = dict[str, Sequence[Sequence[Candidate]]]


def fresh_networks(
    entries: Sequence[Entry], options: Mapping[str, Any], area: float, *, fixed_width: bool
) -> Rows:
    """Return each network with fresh weights, at the sizes and widths worth trying.

    Args:
        options: that the data decide, such as `in_channels`.
        area: height times width of a usual image in pixels.
    """
    sizes = input_sizes(area)
    return {e.name: at_sizes(e, options, sizes, fixed_width=fixed_width) for e in entries}


def at_sizes(
    entry: Entry, options: Mapping[str, Any], sizes: Sequence[int], *, fixed_width: bool = False
) -> list[list[Candidate]]:
    """Return one network at each size, from the widest to the narrowest, with the stem that suits.

    Args:
        sizes: largest first.
    """
    forms = [_form(entry, size) for size in sizes]
    return width_sweeps(entry, options=options, forms=forms, fixed_width=fixed_width)


def transfer_networks(
    checkpoints: Sequence[Checkpoint], options: Mapping[str, Any], area: float
) -> Rows:
    """Return each network that starts from public weights, at the sizes that suit them."""
    return {each.model: _transfer(each, options, area) for each in checkpoints}


def _transfer(
    checkpoint: Checkpoint, options: Mapping[str, Any], area: float
) -> list[list[Candidate]]:
    entry = find_entry(checkpoint.model)
    taken = {key: value for key, value in options.items() if key in entry.defaults}
    taken = {**checkpoint.options, **taken}
    sizes = transfer_sizes(checkpoint.size, area)
    return [[Candidate(entry.name, taken, {"size": size}, checkpoint)] for size in sizes]


def _form(entry: Entry, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The example of a size, and the options that go with it."""
    options: dict[str, Any] = {"size": size}
    if "stem_stride" in entry.defaults:
        options["stem_stride"] = stem_for(entry.defaults["stem_stride"], size)
    return {"size": size}, options


def input_sizes(area: float) -> list[int]:
    """Return resolutions worth trying for images of this median area, largest first.

    Small images: as they are, three quarters, and 32 where that is a little more (LeNet-5 and
    the CIFAR networks expect it). Larger ones: the usual sizes up to their own.
    """
    side = round(area**0.5)
    if side > SMALL_SIDE:
        return [size for size in PHOTO_SIZES if size <= side * 1.1]
    sizes = {side, round(side * 0.75)}
    if 20 <= side < 32:
        sizes.add(32)
    return sorted(sizes, reverse=True)


def transfer_sizes(published: int, area: float) -> list[int]:
    """Return sizes for public weights: their own and smaller, without much enlarging the images."""
    most = min(published, max(round(area**0.5 * 1.1), MIN_TRANSFER))
    sizes = {published, *TRANSFER_SIZES}
    return sorted((size for size in sizes if size <= most), reverse=True) or [published]


def stem_for(default: int, size: int) -> int:
    """Return how much the first layers may reduce: little of a small image."""
    if size <= SMALL_SIDE:
        return 1
    return min(default, 2) if size <= MIDDLE_SIDE else default
