"""Opening images with boxes: which format a source has, and what it says."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from convatlas.data.boxes.boxes import BOXES, Boxes
from convatlas.data.boxes.coco import list_coco_boxes
from convatlas.data.boxes.gather import Source, annotations
from convatlas.data.boxes.label_studio import list_label_studio
from convatlas.data.boxes.table import has_boxes, list_box_table
from convatlas.data.boxes.voc import has_voc, list_voc
from convatlas.data.boxes.yolo import (
    YAML_SUFFIXES,
    has_yolo_labels,
    is_yolo_yaml,
    list_yolo_folder,
    list_yolo_yaml,
)
from convatlas.data.images.annotated import AnnotatedData
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.open import real_source
from convatlas.data.images.open_annotated import open_annotated
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable
from convatlas.data.sources.coco_json import BOX, coco_files
from convatlas.data.sources.json_file import damaged_json
from convatlas.data.sources.label_studio import RECTANGLES, label_studio_files
from convatlas.data.sources.table import SUFFIXES
from convatlas.errors import DataError

Lister = Callable[[], Source]
LAYOUTS = (
    "a CSV file with a row for each box: file, class, xmin, ymin, xmax, ymax, beside images/",
    "COCO's JSON of boxes, beside its images",
    "YOLO's images/ and labels/, with data.yaml or classes.txt",
    "Pascal VOC's Annotations/*.xml and JPEGImages/, or XML files beside images",
    "Label Studio's JSON of rectangles, beside its images",
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
    listers = listers_for(place)
    if not listers:
        raise DataError(
            f"{printable(place)}: must be images with boxes in one of the layouts:\n  "
            + "\n  ".join(LAYOUTS)
            + damaged_json(place)
        )
    if len(listers) > 1:
        raise DataError(
            f"{printable(place)}: must hold boxes in one form, got {' and '.join(listers)}; name "
            "the file or folder of one of them"
        )
    (lister,) = listers.values()
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
    return source != "digits" and bool(listers_for(real_source(source)))


def listers_for(path: Path) -> dict[str, Lister]:
    """Return what reads a source, by the form that it reads; several where it is not clear."""
    found: dict[str, Lister] = {}
    for table in _files(path, SUFFIXES):
        if has_boxes(table):
            found[table.name] = partial(list_box_table, table)
    for described in _files(path, YAML_SUFFIXES):
        if is_yolo_yaml(described):
            found[described.name] = partial(list_yolo_yaml, described)
    if coco_files(path, BOX):
        found["COCO's JSON"] = partial(list_coco_boxes, path)
    if label_studio_files(path, RECTANGLES):
        found["Label Studio's JSON"] = partial(list_label_studio, path)
    if path.is_dir() and has_voc(path):
        found["VOC's XML"] = partial(list_voc, path)
    # Without a file that says more; Label Studio's export of YOLO is such a folder.
    if not found and path.is_dir() and has_yolo_labels(path):
        found["YOLO's labels/"] = partial(list_yolo_folder, path)
    return found


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of these suffixes directly in a folder, or the file itself."""
    entries = sorted(path.iterdir()) if path.is_dir() else [path]
    return [each for each in entries if each.suffix.lower() in suffixes and each.is_file()]
