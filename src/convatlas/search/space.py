"""What may vary: registered networks x width x input resolution, with the stem that suits it.

Nothing is built here; a candidate is a name, options and a size, and is counted later.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from convatlas.models.registry import Entry, find_entry, model_names
from convatlas.pretrained.checkpoint import Checkpoint

WIDTHS = (1.5, 1.0, 0.75, 0.5, 0.35, 0.25)
PHOTO_SIZES = (224, 192, 160, 128, 96, 64, 48)
TRANSFER_SIZES = (224, 192, 160, 128, 96)
LEAST_TRANSFER = 128  # pixels: smaller images are enlarged to what public weights know
SMALL_SIDE = 48  # pixels: up to here images are small, and every one of them counts
MIDDLE_SIDE = 112
# Options that say how large a network is and not what it is.
SCALE_OPTIONS = ("width", "image_size", "size", "in_channels", "num_classes")


@dataclass(frozen=True)
class Candidate:
    """A network that could be trained: a registered name, options over it, an input size.

    `options` hold what the data decides too (channels, classes), so that
    `create_model(name, **options)` builds it. `size` is the side of the square input in pixels,
    `checkpoint` the public weights that it starts from, if any.
    """

    name: str
    options: Mapping[str, Any] = field(hash=False)
    size: int
    checkpoint: Checkpoint | None = None

    def build(self) -> nn.Module:
        """The network with fresh weights."""
        return find_entry(self.name).build(**self.options)


def input_sizes(height: int, width: int) -> list[int]:
    """Resolutions worth trying for images of this median size, largest first.

    Small images: as they are, three quarters, and 32 where that is a little more (LeNet-5 and
    the CIFAR networks expect it). Larger ones: the usual sizes up to their own.
    """
    side = round((height * width) ** 0.5)
    if side > SMALL_SIDE:
        return [size for size in PHOTO_SIZES if size <= side * 1.1]
    sizes = {side, round(side * 0.75)}
    if 20 <= side < 32:
        sizes.add(32)
    return sorted(sizes, reverse=True)


def transfer_sizes(published: int, height: int, width: int) -> list[int]:
    """Resolutions for public weights: their own and smaller, without much enlarging the images."""
    side = round((height * width) ** 0.5)
    most = min(published, max(round(side * 1.1), LEAST_TRANSFER))
    sizes = {published, *TRANSFER_SIZES}
    return sorted((size for size in sizes if size <= most), reverse=True) or [published]


def stem_for(default: int, size: int) -> int:
    """How much the first layers may reduce: little of a small image, as published of a large."""
    if size <= SMALL_SIDE:
        return 1
    return min(default, 2) if size <= MIDDLE_SIDE else default


def structures(task: str = "classify") -> list[Entry]:
    """One entry for each network that differs in more than its scale."""
    chosen: dict[tuple, Entry] = {}
    for name in model_names():
        entry = find_entry(name)
        if entry.task == task:
            key = (entry.cls, *sorted(_shape_options(entry).items(), key=str))
            chosen.setdefault(tuple(map(str, key)), entry)
    return list(chosen.values())


def ladders(
    entry: Entry,
    *,
    channels: int,
    num_classes: int,
    sizes: Iterable[int],
    fixed_width: bool = False,
) -> list[list[Candidate]]:
    """For each size the candidates of one network, from the widest to the narrowest.

    Args:
        fixed_width: keep the width of the entry (the user asked for this very network).
    """
    takes = set(inspect.signature(entry.cls).parameters)
    data = {"in_channels": channels, "num_classes": num_classes}
    widths = WIDTHS if "width" in takes and not fixed_width else (None,)
    rows = []
    for size in sizes:
        options: dict[str, Any] = {key: value for key, value in data.items() if key in takes}
        if "size" in takes:
            options["size"] = size
        if "stem_stride" in takes:
            options["stem_stride"] = stem_for(entry.defaults["stem_stride"], size)
        rows.append(
            [
                Candidate(entry.name, options | ({"width": width} if width else {}), size)
                for width in widths
            ]
        )
    return rows


def transfer_ladders(
    checkpoint: Checkpoint, *, channels: int, num_classes: int, height: int, width: int
) -> list[list[Candidate]]:
    """The network of some public weights at each size that suits them and the images."""
    entry = find_entry(checkpoint.model)
    data = {"in_channels": channels, "num_classes": num_classes}
    data = {key: value for key, value in data.items() if key in entry.defaults}
    options = {**checkpoint.options, **data}
    sizes = transfer_sizes(checkpoint.size, height, width)
    return [[Candidate(entry.name, options, size, checkpoint)] for size in sizes]


def _shape_options(entry: Entry) -> dict[str, Any]:
    return {k: v for k, v in entry.defaults.items() if k not in SCALE_OPTIONS}
