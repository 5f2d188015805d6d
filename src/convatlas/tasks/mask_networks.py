"""Which segmenters there are to try, and the windows that each takes."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from convatlas.data.images.annotated import AnnotatedData
from convatlas.data.masks.mask_files import Mask
from convatlas.data.masks.volumes import DEPTH
from convatlas.deploy.segmenter import as_segmenter
from convatlas.errors import UsageError
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import Entry
from convatlas.models.segment.segmenter import Segmenter
from convatlas.search.space import Candidate, width_sweeps
from convatlas.text import printable

CROP = 160  # pixels of a window that are answered for, unless images are smaller
VOLUME_CROP = 64  # the same of volumes, whose windows have many slices
WINDOW_DEPTH = 16  # slices of a window
UNREDUCED_SIDE = 640  # pixels: images with a longer side are reduced to about this


def fresh_segmenters(
    entries: Sequence[Entry], data: AnnotatedData[Mask], *, fixed_width: bool
) -> Mapping[str, list[list[Candidate]]]:
    """Return networks that take images, or volumes where the data are those, at all widths.

    Raises:
        UsageError: the user asked for a network that takes the others.
    """
    options = {"in_channels": data.channels, "num_classes": len(data.classes)}
    dims = 2 if depth_of(data) is None else 3
    rows = {}
    for entry in entries:
        # Known without building it; a network of a user's own takes images.
        if getattr(entry.cls, "dims", 2) != dims:
            if fixed_width:
                raise UsageError(_other(entry.name, 5 - dims, data))
            continue
        with on_shapes():
            taken = {key: v for key, v in options.items() if key in entry.defaults}
            network = as_segmenter(entry.build(**taken))
        rows[entry.name] = width_sweeps(
            entry, options=options, forms=[(window(network, data), {})], fixed_width=fixed_width
        )
    return rows


def window(network: Segmenter, data: AnnotatedData[Mask]) -> dict[str, Any]:
    """Return how large the windows of a network are, as its `example` takes it."""
    if network.dims == 2:
        return {"size": network.input_length(crop_of(data))}
    depth = network.input_length(min(WINDOW_DEPTH, depth_of(data) or WINDOW_DEPTH), 0)
    return {"size": network.input_length(min(VOLUME_CROP, crop_of(data)), 1), DEPTH: depth}


def depth_of(data: AnnotatedData[Mask]) -> int | None:
    """Return how deep a usual volume is; None of images."""
    return getattr(data.kind, "facts", {}).get(DEPTH)


def reduction(data: AnnotatedData[Mask]) -> int:
    """Return how much images are reduced where the user does not say: large ones only."""
    return min(16, max(1, ceil(max(data.height, data.width) / UNREDUCED_SIDE)))


def crop_of(data: AnnotatedData[Mask]) -> int:
    """Return the pixels of a window, no more than the shorter side of a usual image."""
    return min(CROP, max(16, min(data.height, data.width) // reduction(data)))


def _other(name: str, dims: int, data: AnnotatedData[Mask]) -> str:
    source = printable(data.source)
    if dims == 3:
        return f"{name}: reads volumes; --set stacks=volumes reads the stacks of {source} so"
    return f"{name}: reads images; without --set stacks=volumes {source} holds images"
