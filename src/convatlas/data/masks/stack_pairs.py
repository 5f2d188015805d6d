"""Stacks with masks: each slice of one with its mask, and which slices stay together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convatlas.data.images.stacks import IMAGE_MEMBER, NoSlice, count_slices, members_of
from convatlas.data.masks.pairs import Pairs
from convatlas.data.names import file_path, printable
from convatlas.data.slice_names import is_array, is_stack_suffix, slice_name
from convatlas.data.sources.split import shares_for
from convatlas.errors import DataError

MASK_MEMBER = re.compile(
    r"(masks?|labels?|annotations?|gt|ground_?truth|seg(mentation)?|targets?|classes|y)", re.I
)
MIN_STACKS = 3  # one for each split; fewer are divided themselves
Pair = tuple[str, str, str | None]  # image, mask, split


@dataclass
class Slices:
    """What a folder holds, stacks slice by slice.

    Args:
        pairs: image, mask and split of each slice or plain image.
        stacks: by image, the stack that it is of.
        broken: files that cannot be used, each with the reason.
    """

    pairs: list[Pair] = field(default_factory=list)
    stacks: dict[str, str] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def groups(self) -> dict[str, str]:
        """Return what each image stays together with; empty where there are no stacks."""
        names = {image: self.stacks.get(image, image) for image, _, _ in self.pairs}
        return names if self.stacks else {}


def pair_slices(root: Path, found: Pairs) -> Slices:
    """Return the pairs of a folder with the slices of stacks in place of these.

    Raises:
        DataError: it is not clear which array of a file is the image.
    """
    slices = Slices()
    for image, mask, split in found.pairs:
        try:
            slices.pairs.extend(_of_files(root, image, mask, split, slices.stacks))
        except NoSlice as error:
            slices.broken.append((image, str(error)))
    for archive, split in found.archives:
        try:
            members = image_and_mask(file_path(root, archive))
        except NoSlice as error:
            slices.broken.append((archive, str(error)))
            continue
        if members is None:
            continue
        image, mask, count = members
        for place in range(count):
            names = [slice_name(archive, place, member) for member in (image, mask)]
            slices.pairs.append((names[0], names[1], split))
            slices.stacks[names[0]] = archive
    return slices


def divide_stacks(slices: Slices) -> Slices:
    """Split stacks themselves, where there are too few of them for a split each.

    The first slices of each train, the next validate, the last test, as far as no split is given.
    """
    given = {split for _, _, split in slices.pairs if split is not None}
    free = {slices.stacks.get(image, "") for image, _, split in slices.pairs if split != "test"}
    free -= {slices.stacks.get(image, "") for image, _, split in slices.pairs if split == "val"}
    shares = shares_for(given)
    if "" in free or len(free) >= MIN_STACKS or not shares or not free:
        return slices
    split_of: dict[str, str] = {}
    for stack in sorted(free):
        images = [image for image, _, _ in slices.pairs if slices.stacks.get(image) == stack]
        end = len(images)
        for split in ("test", "val"):
            if split in shares:
                begin = max(0, end - max(1, round(shares[split] * len(images))))
                split_of.update(dict.fromkeys(images[begin:end], split))
                end = begin
        split_of.update(dict.fromkeys(images[:end], "train"))
    parts = ", ".join(
        f"{list(split_of.values()).count(name)} {name}"
        for name in ("train", "val", "test")
        if name in split_of.values()
    )
    note = f"the slices of {_few(sorted(free))} are divided in their order: {parts}"
    pairs = [(image, mask, split_of.get(image, split)) for image, mask, split in slices.pairs]
    return Slices(pairs, slices.stacks, slices.broken, [*slices.notes, note])


def image_and_mask(path: Path) -> tuple[str, str, int] | None:
    """Return the arrays of an npz file that are stack and masks, and how many slices they have.

    None where it holds no two stacks of one shape.

    Raises:
        NoSlice: it cannot be read.
        DataError: it is not clear which is which.
    """
    shapes = {name: shape for name, shape in members_of(path).items() if len(shape) in (3, 4)}
    by_name = [
        [name for name in shapes if pattern.fullmatch(name)]
        for pattern in (IMAGE_MEMBER, MASK_MEMBER)
    ]
    images, masks = by_name
    if len(shapes) == 2 and len(images) + len(masks) == 1:
        other = next(name for name in shapes if name not in images + masks)
        images, masks = images or [other], masks or [other]
    if len(images) == len(masks) == 1 and shapes[images[0]][:3] == shapes[masks[0]][:3]:
        return images[0], masks[0], shapes[images[0]][0]
    if len(set(shape[:3] for shape in shapes.values())) == 1 and len(shapes) == 2:
        raise DataError(
            f"{printable(path)}: must have arrays named image and mask, got {_few(shapes)}"
        )
    return None


def _of_files(
    root: Path, image: str, mask: str, split: str | None, stacks: dict[str, str]
) -> list[Pair]:
    """The slices of two files, or the files themselves where they are plain images."""
    if not (is_stack_suffix(image) or is_stack_suffix(mask)):
        return [(image, mask, split)]
    counts = [
        count_slices(file_path(root, file)) if is_stack_suffix(file) else 1
        for file in (image, mask)
    ]
    if counts[1] == 1 and not is_array(image):  # of more pages the first one is the picture
        return [(image, slice_name(mask, 0) if is_array(mask) else mask, split)]
    if counts[0] != counts[1]:
        raise NoSlice(f"has {counts[0]} slices, its mask {printable(mask)} has {counts[1]}")
    pairs: list[Pair] = []
    for place in range(counts[0]):
        name = slice_name(image, place)
        pairs.append((name, slice_name(mask, place), split))
        if counts[0] > 1:
            stacks[name] = image
    return pairs


def _few(names: Iterable[str] | Sequence[str]) -> str:
    return ", ".join(map(printable, list(names)[:4]))
