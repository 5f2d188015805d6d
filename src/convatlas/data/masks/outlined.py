"""From objects with outlines, whatever file says where they are, to `Annotations` of masks.

What no object covers is the class `background`. Larger objects are drawn first, so that a small one
on a large one is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from convatlas.data.images.annotated import Annotations
from convatlas.data.masks.mask_files import MAX_MASK_CLASSES, Mask
from convatlas.data.masks.outlines import Outline, draw_outlines, runs_to_mask
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.sources.target_findings import TargetFindings
from convatlas.errors import DataError

BACKGROUND = "background"


@dataclass(frozen=True)
class Outlined:
    """One image with its objects.

    Args:
        size: width and height in pixels.
        objects: name and outline of each.
    """

    file: str
    split: str | None
    size: tuple[int, int]
    objects: list[tuple[str, Outline]] = field(default_factory=list)


def value_of(name: str, names: dict[int, str]) -> int:
    """Return the value of a class in the masks; it is added to the names where it is new."""
    value = next((value for value, known in names.items() if known == name), len(names))
    names[value] = name
    return value


def outlined_masks(
    listing: Listing, images: Sequence[Outlined], names: Mapping[int, str], found: TargetFindings
) -> Annotations[Mask]:
    """Return a mask for each image, drawn when it is asked for.

    Args:
        listing: takes the images.
        names: of the classes by their values, 0 for the background.
        found: takes what cannot be drawn.

    Raises:
        DataError: there are too many classes.
    """
    if len(names) > MAX_MASK_CLASSES:
        raise DataError(f"{listing.source}: must have {MAX_MASK_CLASSES - 1} classes at most")
    drawn: dict[str, Mask] = {}
    for image in images:
        outlines = _largest_first(image, found)
        values = draw_outlines(outlines, image.size)
        counts = {v: int((values == v).sum()) for v in {0, *(o.value for o in outlines)}}
        listing.items.append(Item(image.file, "", image.split))
        drawn[image.file] = Mask("", image.size, counts, {}, tuple(outlines))
    seen = {value for mask in drawn.values() for value, count in mask.counts.items() if count}
    used = [value for value in names if value in seen]
    places = {value: place for place, value in enumerate(used)}
    targets = {f: Mask("", m.size, m.counts, places, m.outlines) for f, m in drawn.items()}
    return Annotations(listing, targets, tuple(names[value] for value in used), found)


def _largest_first(image: Outlined, found: TargetFindings) -> list[Outline]:
    """The objects that can be drawn."""
    areas = []
    for name, outline in image.objects:
        try:
            area = (
                runs_to_mask(outline.runs, image.size).sum()
                if outline.runs
                else draw_outlines([Outline(1, outline.polygons)], image.size).sum()
            )
        except ValueError as error:
            found.skip(image.file, name, str(error))
            continue
        if not area:
            found.skip(image.file, name, "it covers no pixel of the image")
            continue
        areas.append((int(area), outline))
    return [outline for _, outline in sorted(areas, key=lambda pair: -pair[0])]
