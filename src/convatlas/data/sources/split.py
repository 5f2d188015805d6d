"""Cutting files into train, val and test: seeded and stratified."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable
from convatlas.data.sources.group_split import cut_groups
from convatlas.data.sources.listing import Item, Listing
from convatlas.errors import DataError

SHARE = 0.15  # of the files, for each split that is cut off


def cut(
    source: str,
    files: Mapping[str, Sequence[str]],
    shares: Mapping[str, float],
    *,
    seed: int,
    duplicates: Collection[str] = (),
    kind: FileKind = IMAGES,
) -> dict[str, str]:
    """Split the files: a share of each class for each named split, the rest to train.

    Each class is drawn by itself, so a class more or less does not move the others, and each
    split gets at least one file of each class. Files that have an identical twin go to
    train first, where they cannot flatter the test figure.

    Args:
        source: the data set as messages name it.
        files: files per class; their order does not matter.
        shares: split and share of each class, such as `{"test": 0.15, "val": 0.15}`.

    Raises:
        DataError: a class has too few files to stand in every split.
    """
    split_of: dict[str, str] = {}
    for label, members in files.items():
        if len(members) <= len(shares):
            raise DataError(
                f"{source}: class {printable(label)} must have at least {len(shares) + 1} "
                f"{kind.many}, got {len(members)}; add some or remove the class"
            )
        order = sorted(members)
        random.Random(f"{seed}/{label}").shuffle(order)
        order.sort(key=lambda file: file in duplicates)
        start = 0
        for split, share in shares.items():
            count = max(1, round(share * len(order)))
            split_of.update(dict.fromkeys(order[start : start + count], split))
            start += count
        split_of.update(dict.fromkeys(order[start:], "train"))
    return split_of


def shares_for(given: Collection[str]) -> dict[str, float]:
    """Return what must be cut off train where the source states these splits."""
    return {split: SHARE for split in ("test", "val") if split not in given}


def cut_items(
    listing: Listing,
    items: list[Item],
    seed: int,
    duplicates: list[list[str]],
    kind: FileKind = IMAGES,
) -> list[Item]:
    """Return the items with a split each: those stated, and what is missing cut off train."""
    files: dict[str, list[str]] = {}
    for item in items:
        if item.split in (None, "train"):
            files.setdefault(item.label, []).append(item.file)
    same = {file for group in duplicates for file in group}
    shares = shares_for(listing.given)
    if listing.groups:
        split_of = cut_groups(listing.source, files, listing.groups, shares, seed=seed)
        return [replace(item, split=split_of.get(item.file, item.split)) for item in items]
    split_of = cut(listing.source, files, shares, seed=seed, duplicates=same, kind=kind)
    return [replace(item, split=split_of.get(item.file, item.split)) for item in items]
