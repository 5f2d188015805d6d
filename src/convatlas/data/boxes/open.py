"""Opening images with boxes: which format a source has, and what it says."""

from collections.abc import Callable, Sequence
from pathlib import Path

from convatlas.data.boxes.boxes import BOXES, Boxes
from convatlas.data.boxes.gather import Source, annotations
from convatlas.data.boxes.table import has_boxes, list_box_table
from convatlas.data.images.annotated import AnnotatedData
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.open import real_source
from convatlas.data.images.open_annotated import open_annotated
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

Lister = Callable[[], Source]
LAYOUTS = (
    "a CSV file with a row for each box: file, class, xmin, ymin, xmax, ymax, beside images/",
)


def open_boxes(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    classes: Sequence[str] | None = None,
    reading: Reading = PLAIN,
    progress: Callable[[int, int], None] | None = None,
    kept: KeptPixels | None = None,
) -> AnnotatedData[Boxes]:
    """Open images with boxes in any of the formats; see `open_annotated` for the rest.

    Raises:
        DataError: the data cannot be used; names the file or box and a way out.
    """
    place = real_source(source)
    lister = lister_for(place)
    if lister is None:
        raise DataError(
            f"{printable(place)}: must be images with boxes in one of the layouts:\n  "
            + "\n  ".join(LAYOUTS)
        )
    return open_annotated(
        place,
        annotations(lister()),
        BOXES,
        seed=seed,
        max_broken=max_broken,
        classes=classes,
        reading=reading,
        progress=progress,
        kept=kept,
    )


def takes_boxes(source: str | Path) -> bool:
    """Return whether a source says where things lie on images."""
    return source != "digits" and lister_for(real_source(source)) is not None


def lister_for(path: Path) -> Lister | None:
    """Return what reads the source; None where it has no known format."""
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return (lambda: list_box_table(path)) if has_boxes(path) else None
    if path.is_dir():
        tables = [each for each in sorted(path.iterdir()) if each.suffix.lower() in SUFFIXES]
        boxed = [each for each in tables if has_boxes(each)]
        if len(boxed) == 1:
            return lambda: list_box_table(boxed[0])
    return None
