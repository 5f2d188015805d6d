"""Files beside masks that name their classes: lists, tables of colours, JSON."""

import json
import re
from pathlib import Path
from typing import Any

from convatlas.data.masks.mask_values import COLOUR
from convatlas.data.names import printable
from convatlas.errors import DataError

FILES = (
    "classes.txt",
    "labels.txt",
    "class_names.txt",
    "label_colors.txt",
    "labelmap.txt",
    "classes.csv",
    "class_dict.csv",
    "labels.csv",
    "classes.json",
    "labels.json",
)
NO_CLASS = re.compile(
    r"(void|ignored?|unlabell?ed|unknown|undefined|don'?t[ _]?care)", re.IGNORECASE
)
_GAP = r"[\s,;:]+"
_COLOUR_FIRST = re.compile(rf"(\d+){_GAP}(\d+){_GAP}(\d+){_GAP}(\D.*)")
_COLOUR_LAST = re.compile(rf"(\D.*?){_GAP}(\d+){_GAP}(\d+){_GAP}(\d+)\D*")
_VALUE_FIRST = re.compile(rf"(\d+){_GAP}(\D.*)")
_VALUE_LAST = re.compile(rf"(\D.*?){_GAP}(\d+)")
_HEADING = re.compile(
    r"(class|name|label|value|id|r|g|b|red|green|blue|index|[\s,;:#])+", re.IGNORECASE
)


def read_class_names(root: Path) -> tuple[dict[int, str], str] | None:
    """Return the name of each value and the file that says so; None where no such file lies there.

    Raises:
        DataError: there are two such files, or one cannot be understood.
    """
    found = [root / name for name in FILES if (root / name).is_file()]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(
            f"{printable(root)}: must hold one file that names the classes, got "
            f"{', '.join(path.name for path in found)}; keep one"
        )
    path = found[0]
    try:
        text = path.read_text(encoding="utf-8-sig")
        names = _from_json(json.loads(text)) if path.suffix == ".json" else _from_lines(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{printable(path)}: cannot read class names: {reason}") from None
    if len(names) < 2:
        raise DataError(f"{printable(path)}: must name two classes at least, got {len(names)}")
    return names, path.name


def is_no_class(name: str) -> bool:
    """Return whether a name says that pixels have no class, such as `void`."""
    return NO_CLASS.fullmatch(name.strip()) is not None


def _from_lines(text: str) -> dict[int, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("#")]
    if lines and _HEADING.fullmatch(lines[0]) and len(lines[0].split(",")) > 1:
        lines = lines[1:]
    names: dict[int, str] = {}
    for place, line in enumerate(lines):
        value, name = _one(line, place)
        if value in names or name in names.values():
            raise ValueError(f"{line!r} stands there twice")
        names[value] = name
    return names


def _one(line: str, place: int) -> tuple[int, str]:
    """The value and the name of a line; its place is the value where the line has a name alone."""
    if found := _COLOUR_FIRST.fullmatch(line):
        return _packed(found.groups()[:3]), found[4].strip()
    if found := _COLOUR_LAST.fullmatch(line):
        return _packed(found.groups()[1:]), found[1].strip()
    if found := _VALUE_FIRST.fullmatch(line):
        return int(found[1]), found[2].strip()
    if found := _VALUE_LAST.fullmatch(line):
        return int(found[2]), found[1].strip()
    return place, line


def _from_json(content: Any) -> dict[int, str]:
    if isinstance(content, list) and all(isinstance(each, str) for each in content):
        return dict(enumerate(content))
    if not isinstance(content, dict):
        raise ValueError("must be a list of names, or an object of names and values")
    names: dict[int, str] = {}
    for key, value in content.items():
        if isinstance(value, str) and key.isdecimal():
            names[int(key)] = value
        elif isinstance(value, int) and not isinstance(value, bool):
            names[value] = key
        elif isinstance(value, list) and len(value) == 3:
            names[_packed(value)] = key
        else:
            raise ValueError(f"{key!r}: must have a value or a colour of three numbers")
    return names


def _packed(parts: Any) -> int:
    red, green, blue = (int(part) for part in parts)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"{red} {green} {blue}: is no colour of 8 bits")
    # As in the files: a colour of equal parts is a grey value.
    return red if red == green == blue else COLOUR + (red << 16) + (green << 8) + blue
