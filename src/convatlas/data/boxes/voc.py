"""Pascal VOC's XML files, one for each image, and its lists of the images of each split.

Source: Everingham et al., "The PASCAL VOC2012 Development Kit", 2012, sections 6 and 8.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.data.boxes.gather import Marked, Source, add_unnamed
from convatlas.data.boxes.packages import defused_xml
from convatlas.data.formats import IMAGES
from convatlas.data.names import printable, relative_name
from convatlas.data.sources.csv_text import read_text
from convatlas.data.sources.find_image import IMAGE_FOLDERS, MISSING, find_image
from convatlas.data.sources.left_out import reason_left_out
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

FOLDER = "Annotations"
JPEG_FOLDER = "JPEGImages"
LISTS = Path("ImageSets", "Main")
UNLISTED = f"in no list of {LISTS.as_posix()}"
CORNER_NAMES = ("xmin", "ymin", "xmax", "ymax")
MAX_LOOKED_DEPTH = 4  # folders below the root in which XML files may lie
HEAD_BYTES = 4096  # of a file, in which its first element stands


def xml_files(root: Path) -> list[Path]:
    """Return the XML files below a folder, not far down."""
    patterns = ("/".join(["*"] * depth + ["*.xml"]) for depth in range(MAX_LOOKED_DEPTH))
    files = (file for pattern in patterns for file in root.glob(pattern))
    return sorted(file for file in files if reason_left_out(file.name) is None)


def has_voc(root: Path) -> bool:
    """Return whether a folder holds annotations in VOC's form."""
    for file in xml_files(root)[:3]:
        try:
            with file.open("rb") as opened:
                if b"<annotation" in opened.read(HEAD_BYTES):
                    return True
        except OSError:
            continue
    return False


def list_voc(root: Path) -> Source:
    """Read every XML file below a folder; ImageSets/Main or folders such as train/ give splits.

    Objects marked as difficult, and groups that are marked as such, are kept apart as ignored.

    Raises:
        DataError: an image is in two splits, or a list cannot be read.
    """
    source = Source(printable(root), root)
    splits: dict[Path, Mapping[str, str]] = {}
    folders: set[Path] = set()
    images = _Images(root)
    for file in xml_files(root):
        base = file.parent.parent if file.parent.name == FOLDER else file.parent
        if base not in splits:
            splits[base] = _listed_splits(base)
        name = relative_name(file, root)
        if splits[base] and file.stem not in splits[base]:
            source.ignored.append((name, UNLISTED))
            continue
        parts = file.relative_to(root).parts[:-1]
        by_folder = next((split_named(part) for part in parts if split_named(part)), None)
        try:
            top = _parsed(file)
        except ValueError as error:
            source.broken.append((name, str(error)))
            continue
        named = _text(top, "filename")
        image = images.find(file, base, named)
        if image is None:
            source.broken.append((name, f"its image {printable(named)}: {MISSING}"))
            continue
        marked = Marked(image, splits[base].get(file.stem, by_folder), place=file.name)
        marked.stated = _stated(top)
        _add_objects(source, marked, top)
        source.marked.append(marked)
        folders.add((root / image).parent)
    for folder in sorted(folders):
        add_unnamed(source, folder, "has no XML file")
    return source


def _listed_splits(base: Path) -> dict[str, str]:
    """The split of each image by its name; empty where there are no lists."""
    folder = base / LISTS
    lists = {split: folder / f"{split}.txt" for split in ("train", "val", "test")}
    there = {split: path for split, path in lists.items() if path.is_file()}
    if "train" not in there and (folder / "trainval.txt").is_file():
        there["train"] = folder / "trainval.txt"
    found: dict[str, str] = {}
    for split, path in there.items():
        for line in read_text(path).splitlines():
            for name in line.split()[:1]:
                if found.setdefault(name, split) != split:
                    raise DataError(
                        f"{printable(path)}: {printable(name)} must be in one split, got "
                        f"{found[name]} and {split}"
                    )
    return found


def _parsed(file: Path) -> Any:
    """The first element of a file; ValueError says why there is none."""
    library = defused_xml()
    try:
        top = library.parse(file).getroot()
    except OSError as error:
        raise ValueError((error.strerror or type(error).__name__).lower()) from None
    except Exception as error:  # of expat, of defusedxml, or of an unknown encoding
        raise ValueError(f"cannot be read as XML ({printable(error)})") from None
    if top.tag != "annotation":
        raise ValueError(f"must be an annotation, got {printable(top.tag)}")
    return top


class _Images:
    """Finds images by their names without a suffix; a folder is listed once."""

    def __init__(self, root: Path):
        self.root = root
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, file: Path, base: Path, named: str) -> str | None:
        """Return the image of an XML file: of the same name, as VOC has it, or the one it names."""
        folders = [file.parent, base, base.parent]
        for folder in (base / JPEG_FOLDER, *folders, *(base / each for each in IMAGE_FOLDERS)):
            if file.stem in self._in(folder):
                return relative_name(self._in(folder)[file.stem], self.root)
        return find_image(self.root, named, folders) if named else None

    def _in(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listed:
            entries = sorted(folder.iterdir()) if folder.is_dir() else []
            images = [entry for entry in entries if IMAGES.holds(entry.name)]
            self._listed[folder] = {image.stem: image for image in images}
        return self._listed[folder]


def _stated(top: Any) -> tuple[int, int] | None:
    sides = [_text(top, f"size/{side}") for side in ("width", "height")]
    if all(side.isdecimal() and int(side) for side in sides):
        return int(sides[0]), int(sides[1])
    return None  # some tools write 0


def _add_objects(source: Source, image: Marked, top: Any) -> None:
    # The first pixel of VOC's own pictures is 1; other tools that write the form begin at 0.
    first = 1.0 if _text(top, "source/database").startswith("The VOC") else 0.0
    for number, each in enumerate(top.findall("object"), start=1):
        label, name = _text(each, "name"), f"{image.place} object {number}"
        box = each.find("bndbox")
        reason = ""
        if not label:
            reason = "it has no name"
        elif box is None:
            rotated = each.find("robndbox") is not None
            reason = "its box is rotated" if rotated else "it has no bndbox"
        else:
            texts = [_text(box, corner) for corner in CORNER_NAMES]
            try:
                left, top_side, right, below = map(float, texts)
            except ValueError:
                reason = f"its corners are no numbers: {' '.join(texts)[:60]}"
            else:
                row = ((left - first, top_side - first, right, below), label, name)
                difficult = _text(each, "difficult") == "1"
                (image.ignored if difficult else image.rows).append(row)
        if reason:
            source.found.total += 1
            source.found.skip(image.file, name, reason)


def _text(element: Any, path: str) -> str:
    found = element.find(path)
    return "" if found is None or found.text is None else found.text.strip()
