"""WebDataset's shards: tar files in which the files of one example share the name before the dot.

The shards are indexed once and then read at any place, so that they are split, shuffled and named
like other data; the package `webdataset` streams them in their order, which allows none of this.

Source: the WebDataset format, github.com/webdataset/webdataset, section "The WebDataset Format".
"""

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from convatlas.data.formats import IMAGES
from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.packed.class_names import read_names
from convatlas.data.packed.split_words import split_in
from convatlas.data.sources.contents import UnreadableContent
from convatlas.data.sources.csv_columns import LABEL_NAMES, column_name
from convatlas.data.sources.listing import Item, Listing
from convatlas.errors import DataError

SUFFIX = ".tar"
KEY = re.compile(r"((?:.*/|)[^./][^./]*)\.([^/]+)")  # the name before the first dot, and the rest
CLASS, OBJECT = "cls", "json"
CLASSES = "classes.txt"
LOOKED_AT = 8  # files at the beginning of a shard, that tell whether it is one
MAX_LABEL_BYTES = 1 << 20


class Part(NamedTuple):
    """Where a file lies in a shard."""

    shard: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the content.

        Raises:
            UnreadableContent: the shard is gone, or shorter than it was.
        """
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise UnreadableContent((error.strerror or "cannot be read").lower()) from None
        if len(content) < self.size:
            raise UnreadableContent("the shard ends before it")
        return content


@dataclass(frozen=True, eq=False)
class ShardImages:
    """Images by the shard and the name that they have in it."""

    parts: dict[str, Part]
    decoded: bool = field(default=False, init=False)

    def get(self, file: str) -> bytes:
        """Return the encoded image."""
        return self.parts[file].read()

    def holds(self, file: str) -> bool:
        """Return whether there is an image of that name."""
        return file in self.parts


def find_shards(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the shards among the files of a folder, if the first one has images with classes."""
    found = [folder / name for name in names if name.lower().endswith(SUFFIX)]
    return found if found and _is_shard(found[0]) else []


def _is_shard(path: Path) -> bool:
    """Whether an image and its class, or other facts, stand at the beginning of a tar file."""
    found: dict[str, set[str]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for _, member in zip(range(LOOKED_AT), tar, strict=False):
                match = KEY.fullmatch(member.name)
                if match and member.isreg():
                    found.setdefault(match[1], set()).add(match[2].lower())
    except (OSError, tarfile.TarError):
        pass  # what stands before the damage tells; reading it says what is wrong
    return any(
        parts & {CLASS, OBJECT} and any(IMAGES.holds(f"x.{part}") for part in parts)
        for parts in found.values()
    )


def open_shards(place: Path, found: list[Path]) -> Listing:
    """Return the images of shards; a shard trains, validates or tests as its name says.

    Raises:
        DataError: a shard is truncated or damaged.
    """
    folder = found[0].parent
    names = read_names(folder / CLASSES)
    contents = ShardImages({})
    listing = Listing(printable(place), folder, [], contents=contents)
    splits = {path: split_in(path.stem) for path in found} if place.is_dir() else {}
    stated = bool(splits) and None not in splits.values()
    for path in found:
        for key, parts in examples(path):
            add_example(
                listing, contents, path, key, parts, splits[path] if stated else None, names
            )
    few = printable_few(path.name for path in found)
    listing.notes.append(f"read as {len(found):,} shard(s) of examples: {few}")
    return listing


def examples(path: Path) -> Iterator[tuple[str, dict[str, Part]]]:
    """Yield key and files of each example of a shard; the files of one follow each other.

    Raises:
        DataError: the shard is truncated or damaged.
    """
    key, parts, done = "", {}, 0
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                match = KEY.fullmatch(member.name) if member.isreg() else None
                if match is None:
                    continue
                if match[1] != key and parts:
                    yield key, parts
                    parts, done = {}, done + 1
                key = match[1]
                parts[match[2].lower()] = Part(path, member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        cut = any(words in str(error) for words in ("end of", "empty", "truncated"))
        raise DataError(
            f"{printable(path)}: {'truncated' if cut else 'damaged'} as a tar file after "
            f"{done:,} examples ({error})"
        ) from None
    if parts:
        yield key, parts


def add_example(
    listing: Listing,
    contents: ShardImages,
    path: Path,
    key: str,
    parts: dict[str, Part],
    split: str | None,
    names: Sequence[str] | None,
) -> None:
    """Add one example; what cannot be used goes to `broken`, with its shard and name."""
    images = [part for part in parts if IMAGES.holds(f"x.{part}")]
    file = stored_name(f"{path.name}/{key}.{images[0] if images else '?'}")
    label = label_of(parts, names)
    fault = ""
    if len(images) != 1:
        fault = f"must have one image, got {printable_few(images) or 'none'}"
    elif not label:
        fault = f"must have a class in .{CLASS} or .{OBJECT}, got {printable_few(sorted(parts))}"
    elif contents.holds(file):
        fault = "two examples of one name"
    if fault:
        listing.broken.append((file, fault))
        return
    contents.parts[file] = parts[images[0]]
    listing.items.append(Item(file, label, split))


def label_of(parts: dict[str, Part], names: Sequence[str] | None) -> str:
    """Return the class of an example; empty where none is stated."""
    part = parts.get(CLASS, parts.get(OBJECT))
    if part is None or part.size > MAX_LABEL_BYTES:
        return ""
    try:
        text = part.read().decode("utf-8").strip()
        label = text if CLASS in parts else _in_object(json.loads(text))
    except (UnreadableContent, ValueError, RecursionError):
        return ""
    if names is not None and label.isascii() and label.isdigit() and int(label) < len(names):
        return names[int(label)]
    return stored_name(label)


def _in_object(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    by_name = {column_name(str(key)): each for key, each in value.items()}
    found = next((by_name[name] for name in LABEL_NAMES if name in by_name), "")
    return str(found).strip() if isinstance(found, str | int) else ""
