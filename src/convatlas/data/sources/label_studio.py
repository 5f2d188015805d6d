"""Label Studio's JSON: tasks, what was drawn on the image of each, and which file that image is.

Both exports are read: `JSON`, and `JSON-MIN`. What is drawn is in percent of the image's sides.

Source: labelstud.io/guide/task_format and labelstud.io/tags/rectanglelabels.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from convatlas.data.formats import IMAGES
from convatlas.data.names import printable, printable_few
from convatlas.data.sources.find_image import MISSING
from convatlas.data.sources.json_file import json_files, mentions, read_json
from convatlas.data.sources.walk import walk
from convatlas.errors import DataError

RECTANGLES, POLYGONS, BRUSHES = "rectanglelabels", "polygonlabels", "brushlabels"
OUTLINES = (POLYGONS, BRUSHES)
UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # Label Studio sets this before names of uploads
NOT_YET = "not annotated yet"
SKIPPED = "its annotation was skipped"
SEVERAL = "annotated several times: the one marked as ground truth is used, else the latest"


@dataclass(frozen=True)
class Drawn:
    """One thing that was drawn.

    Args:
        name: `result abc of task 7`.
        kind: such as `rectanglelabels`.
        labels: its classes.
        value: numbers in percent.
        size: width and height of the image in pixels, where they are stated.
        image_rotation: degrees that the whole image was turned by.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    value: Mapping[str, Any]
    size: tuple[int, int] | None
    image_rotation: float


@dataclass(frozen=True)
class LabelTask:
    """One image with what was drawn on it; `left_out` says why a task cannot be used yet."""

    name: str
    image: str
    drawn: tuple[Drawn, ...] = ()
    left_out: str = ""
    several: bool = False


def label_studio_files(source: Path, *kinds: str) -> list[Path]:
    """Return the files of a source, or the file itself, in which such things are drawn."""
    patterns = [
        rf'"({"|".join(kinds)})"\s*:\s*\['.encode(),
        rb'"(original_width|result|annotator)"',
    ]
    return [file for file in json_files(source) if mentions(file, b"[", *patterns)]


@dataclass
class LabelledImages:
    """What the files of a source say.

    Args:
        images: file, and its task with what is of the kinds that were asked for.
        ignored: images that are not annotated, each with the reason.
        broken: images that cannot be found, each with the reason.
    """

    images: list[tuple[str, LabelTask]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_label_studio(place: Path, *kinds: str) -> LabelledImages:
    """Read what is drawn of these kinds in a file, or in the files of a folder.

    Tasks that were not annotated yet, or skipped, are left out.

    Raises:
        DataError: a file cannot be understood.
    """
    finder = ImageFinder(place if place.is_dir() else place.parent)
    read, others, several = LabelledImages(), Counter[str](), list[str]()
    for task in (t for path in label_studio_files(place, *kinds) for t in read_tasks(path)):
        file = finder.find(task.image)
        if task.left_out:
            read.ignored.append((file if isinstance(file, str) else task.image, task.left_out))
        elif not isinstance(file, str):
            reason = f"may be {printable_few(file)}" if file else MISSING
            read.broken.append((printable(task.image), f"{reason}, {task.name}"))
        else:
            others.update(each.kind for each in task.drawn if each.kind not in kinds)
            drawn = tuple(each for each in task.drawn if each.kind in kinds)
            read.images.append((file, replace(task, drawn=drawn)))
            several += [task.name] if task.several else []
    if several:
        read.notes.append(f"{len(several):,} tasks were {SEVERAL}: {printable_few(several)}")
    for other, count in sorted(others.items()):
        read.notes.append(f"{count:,} of what was drawn are {printable(other)}, left out")
    return read


def read_tasks(path: Path) -> list[LabelTask]:
    """Read the tasks of a file.

    Raises:
        DataError: it is no list of tasks, or a task names no image.
    """
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise DataError(f"{printable(path)}: must be a list of tasks, as Label Studio exports it")
    return [_task(path, place, each) for place, each in enumerate(content, start=1)]


class ImageFinder:
    """Finds the file that the address of a task means, by as much of its path as is needed."""

    def __init__(self, root: Path):
        self._by_name: dict[str, list[str]] = {}
        for file in walk(root, root).files:
            if IMAGES.holds(file):
                self._by_name.setdefault(PurePosixPath(file).name, []).append(file)

    def find(self, address: str) -> str | list[str]:
        """Return the file, or all that it may be: none or several."""
        parts = PurePosixPath(_path_of(address)).parts
        if not parts:
            return []
        names = [parts[-1], *(found[1] for found in [UPLOADED.fullmatch(parts[-1])] if found)]
        for name in names:
            candidates = self._by_name.get(name, [])
            shared = {file: _shared(file, (*parts[:-1], name)) for file in candidates}
            best = [file for file in candidates if shared[file] == max(shared.values())]
            if best:
                return best[0] if len(best) == 1 else best
        return []


def _shared(file: str, parts: tuple[str, ...]) -> int:
    """How many parts a file's path shares with another, from the end."""
    count = 0
    for own, other in zip(reversed(PurePosixPath(file).parts), reversed(parts), strict=False):
        if own != other:
            break
        count += 1
    return count


def _path_of(address: str) -> str:
    """The path in an address: a link, a path, or /data/local-files/?d=PATH."""
    plain = address.replace("\\", "/")
    parts = urlsplit(plain)
    if local := parse_qs(parts.query).get("d"):
        return local[0]
    return unquote(parts.path) if parts.scheme or plain.startswith("/data/") else plain


def _task(path: Path, place: int, task: Mapping[str, Any]) -> LabelTask:
    name = f"task {printable(str(task.get('id', f'number {place}'))[:40])}"
    data = task["data"] if isinstance(task.get("data"), dict) else task
    image = next(_images(data), None)
    if image is None:
        raise DataError(f"{printable(path)}: {name} must name an image")
    given = task.get("annotations", task.get("completions"))
    if not isinstance(given, list):  # JSON-MIN
        lists = [each for each in data.values() if isinstance(each, list)]
        if not lists:
            return LabelTask(name, image, left_out=NOT_YET)
        results = [each for found in lists for each in found if isinstance(each, dict)]
        return LabelTask(name, image, tuple(_drawn(name, each, each) for each in results))
    every = [each for each in given if isinstance(each, dict)]
    valid = [each for each in every if not each.get("was_cancelled") and not each.get("skipped")]
    if not valid:
        return LabelTask(name, image, left_out=SKIPPED if every else NOT_YET)
    best = max(
        valid, key=lambda each: (bool(each.get("ground_truth")), str(each.get("updated_at", "")))
    )
    results = best.get("result")
    drawn = tuple(
        _drawn(name, each, each.get("value"))
        for each in (results if isinstance(results, list) else [])
        if isinstance(each, dict)
    )
    return LabelTask(name, image, drawn, several=len(valid) > 1)


def _images(data: Mapping[str, Any]) -> Iterator[str]:
    """The values that name an image, those with an image's suffix first."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value}
    yield from (text for text in texts.values() if IMAGES.holds(_path_of(text)))
    yield from (texts[key] for key in ("image", "img", "url", "ocr") if key in texts)


def unusable(drawn: Drawn, numbers: Sequence[Any]) -> str:
    """Return why a thing cannot be used; empty where it can.

    Args:
        numbers: that say where it is.
    """
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return "its corners are no numbers"
    if not drawn.labels:
        return "it has no class"
    if turn := drawn.value.get("rotation") or 0:
        return f"it is rotated by {printable(str(turn)[:10])} degrees"
    if drawn.image_rotation % 360:
        return f"its image was turned by {drawn.image_rotation:g} degrees"
    return ""


def _drawn(task: str, result: Mapping[str, Any], value: Any) -> Drawn:
    value = value if isinstance(value, dict) else {}
    kinds = [key for key in value if key.endswith("labels") and isinstance(value[key], list)]
    kind = kinds[0] if kinds else str(result.get("type", "something"))
    labels = tuple(str(label) for label in value.get(kind, ()))
    sides = (result.get("original_width"), result.get("original_height"))
    whole = all(isinstance(side, int) and side > 0 for side in sides)
    turn = result.get("image_rotation", 0)
    return Drawn(
        f"result {printable(str(result.get('id', 'without an id'))[:40])} of {task}",
        kind,
        labels,
        value,
        sides if whole else None,  # pyright: ignore[reportArgumentType]  two numbers, asked for before
        float(turn) if isinstance(turn, int | float) else 0.0,
    )
