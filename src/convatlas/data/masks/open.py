"""Opening images with masks: which layout a source has, and what its values mean."""

from collections.abc import Callable, Sequence
from pathlib import Path

from convatlas.data.images.annotated import AnnotatedData, Annotations
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.open import real_source
from convatlas.data.images.open_annotated import open_annotated
from convatlas.data.images.stacks import NoSlice
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.masks.coco import list_coco
from convatlas.data.masks.label_studio import list_label_studio_masks
from convatlas.data.masks.list_masks import list_pairs, pairs_of
from convatlas.data.masks.mask_files import Mask, MaskKind
from convatlas.data.masks.stack_pairs import image_and_mask
from convatlas.data.names import file_path, printable
from convatlas.data.sources.coco_json import OUTLINE, coco_files
from convatlas.data.sources.json_file import damaged_json
from convatlas.data.sources.label_studio import OUTLINES, label_studio_files
from convatlas.errors import DataError

MIN_PAIRED = 0.5  # of the images: a few masks among many images make no set of masks
LAYOUTS = (
    "a folder with x.jpg beside x_mask.png, or with images/ and masks/ (PNG); train/ val/ test/ "
    "above or below",
    "stacks with masks: multi-page TIFF or npy files named so, or npz files with image and mask",
    "COCO's JSON with outlines or run lengths, beside its images",
    "Label Studio's JSON of polygons, beside its images",
)


def open_masks(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    ignored: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    reading: Reading = PLAIN,
    progress: Callable[[int, int], None] | None = None,
    kept: KeptPixels | None = None,
) -> AnnotatedData[Mask]:
    """Open images with masks; see `open_annotated` for the rest.

    Args:
        ignored: values of masks whose pixels have no class; see `list_pairs`.
        classes: the class map of a run: then the data are opened for judging it.

    Raises:
        DataError: the data cannot be used; names the file and a way out.
    """
    place = real_source(source)
    found, without = _list(place, ignored, classes)
    return open_annotated(
        place,
        found,
        MaskKind(without),
        seed=seed,
        max_broken=max_broken,
        classes=classes,
        reading=reading,
        progress=progress,
        kept=kept,
    )


def takes_masks(source: str | Path) -> bool:
    """Return whether a source holds images with masks, by the names of its files."""
    if source == "digits":
        return False
    place = real_source(source)
    try:
        if coco_files(place, OUTLINE) or label_studio_files(place, *OUTLINES):
            return True
        if not _may_hold_pairs(place):
            return False
        found = pairs_of(place)
        folder = place if place.is_dir() else place.parent
        if any(image_and_mask(file_path(folder, file)) for file, _ in found.archives):
            return True
    except (DataError, OSError, NoSlice):
        return False
    count = len(found.pairs)
    return count > 0 and count >= MIN_PAIRED * (count + len(found.alone))


def _list(
    place: Path, ignored: Sequence[int] | None, classes: Sequence[str] | None
) -> tuple[Annotations[Mask], tuple[int, ...]]:
    if coco_files(place, OUTLINE):
        return list_coco(place), ()
    if label_studio_files(place, *OUTLINES):
        return list_label_studio_masks(place), ()
    if _may_hold_pairs(place):
        return list_pairs(place, ignored, classes)
    raise DataError(
        f"{printable(place)}: must be images with masks in one of the layouts:\n  "
        + "\n  ".join(LAYOUTS)
        + damaged_json(place)
    )


def _may_hold_pairs(place: Path) -> bool:
    return place.is_dir() or (place.is_file() and place.suffix.lower() == ".npz")
