"""Opening a data set: list, scan, check the classes, split."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from convatlas.data.images.common_channels import (
    channel_notes,
    check_channels,
    common_channels,
)
from convatlas.data.images.digits import SIDE, load_digits
from convatlas.data.images.image_data import FileStore, ImageData, PixelStore, Split, Store
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.loose import LOOSE, list_loose
from convatlas.data.images.scan import FileFacts, Progress, measure, scan_files
from convatlas.data.images.settle_reading import settle_reading, unexplained
from convatlas.data.images.stacks import unused_pages
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.packed.hub import is_hub_name
from convatlas.data.packed.recognise import holds_packed, list_packed
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share, count_named
from convatlas.data.sources.classes import absent_classes, check_left, class_map, similar_classes
from convatlas.data.sources.duplicates import find_duplicates, pairs_across
from convatlas.data.sources.folders import list_folder
from convatlas.data.sources.holds_kind import holds_kind
from convatlas.data.sources.image_kind import image_kind
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.data.sources.metadata import list_metadata, metadata_files
from convatlas.data.sources.split import cut, cut_items
from convatlas.data.sources.table import SUFFIXES, list_table
from convatlas.errors import DataError

DIGITS_SHARES = {"test": 0.2, "val": 0.1}  # 1,000 and 500 of 5,000


def open_images(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    classes: Sequence[str] | None = None,
    reading: Reading = PLAIN,
    progress: Progress | None = None,
    kept: KeptPixels | None = None,
    loose: bool = False,
) -> ImageData:
    """Open a data set for training: every file is read once, and what is wrong is named.

    Splits that the source states are kept; what is missing is cut off train, seeded and
    stratified: 15 % each for val and test, of the digits 500 and 1,000.

    Args:
        source: `digits`, a folder `CLASS/files`, a folder with `train/`, `val/` and `test/`
            of such (val and test may be absent), a CSV file `file_name,label[,split]`, or files
            that hold many images each, as MNIST, CIFAR and SVHN are published.
        max_broken: share of the files that may be broken; they are skipped.
        classes: the class map of a run that the data must match.
        reading: the limits of size, and what the numbers of deep files mean.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that the images need not be decoded again until it forgets
            them.
        loose: the images have no classes; `list_loose` lists them.

    Raises:
        DataError: the data cannot be used; names the file, line or class and a way out.
    """
    if source == "digits":
        return open_digits(seed, classes)
    source = real_source(source)
    listing = list_loose(source) if loose else list_source(source)
    check_share(listing.source, listing.broken, count_named(listing), max_broken)
    # Before minutes of reading.
    named = (LOOSE,) if loose else class_map(listing.source, listing.items, classes)
    cut_items(listing, listing.items, seed, [])
    facts, broken = scan_listing(listing, max_broken, reading, progress, kept, many=not loose)
    common_channels(listing.source, facts)
    items = readable(listing.items, facts)
    check_left(listing.source, items, named)
    duplicates = find_duplicates((fact.file, fact.pixels) for fact in facts)
    items = cut_items(listing, items, seed, duplicates)
    reading, remarks = settle(items, facts, reading, most_refused=max_broken * len(listing.items))
    facts, broken = refuse_unexplained(listing, facts, broken, reading, max_broken)
    items = readable(items, facts)
    check_left(listing.source, items, named)
    data = build(source, listing, items, named, facts, broken, duplicates, seed, reading, kept)
    return replace(data, scan=replace(data.scan, reading=remarks))


def open_test(
    source: str | Path,
    classes: Sequence[str],
    *,
    max_broken: float = 0.05,
    reading: Reading = PLAIN,
    progress: Progress | None = None,
    loose: bool = False,
    channels: int | None = None,
) -> ImageData:
    """Open labelled images to evaluate a run on: one split, `test`, and nothing cut off.

    Takes what `open_images` takes; where the source states a test split, only that is used.
    The digits give their own 1,000 of seed 0.

    Args:
        channels: of the run, which the images must have.
    """
    if source == "digits":
        data = open_digits(0, classes)
        return replace(data, splits={"test": data.splits["test"]})
    source = real_source(source)
    listing = list_loose(source) if loose else list_source(source, need_train=False)
    check_share(listing.source, listing.broken, count_named(listing), max_broken)
    if "test" in listing.given:
        kept = [item for item in listing.items if item.split == "test"]
        listing = replace(listing, items=kept)
    elif listing.given:
        given = " and ".join(split for split in SPLITS if split in listing.given)
        listing.notes.append(f"{listing.source}: no test split, so the images of {given} are used")
    listing = replace(listing, items=[replace(item, split="test") for item in listing.items])
    named = (LOOSE,) if loose else class_map(listing.source, listing.items, classes, some=True)
    facts, broken = scan_listing(listing, max_broken, reading, progress, many=not loose)
    found = common_channels(listing.source, facts)
    if channels is not None:
        check_channels(listing.source, facts, found, channels)
    facts, broken = refuse_unexplained(listing, facts, broken, reading, max_broken)
    items = readable(listing.items, facts)
    held = {item.label for item in listing.items}
    check_left(listing.source, items, [label for label in named if label in held])
    listing.notes.extend(absent_classes(items, named))
    duplicates = find_duplicates((fact.file, fact.pixels) for fact in facts)
    return build(source, listing, items, named, facts, broken, duplicates, 0, reading)


def takes_images(source: str | Path) -> bool:
    """Return whether a source looks like labelled images, by names alone."""
    if source == "digits":
        return True
    path = real_source(source)
    return holds_packed(path) or holds_kind(path, image_kind(path))


def real_source(source: str | Path) -> Path:
    """Return the place of the data; it may be named as a run or a report names it."""
    path = Path(source)
    return path if os.path.exists(path) else Path(true_name(str(source)))


def list_source(source: str | Path, *, need_train: bool = True) -> Listing:
    """Return the labelled files of a folder or CSV file."""
    path = Path(source)
    where = printable(source)
    packed = list_packed(source, need_train=need_train)
    if packed is not None:
        return packed
    try:
        tables = metadata_files(path)
        if tables:
            return list_metadata(path, tables, need_train=need_train)
        if path.is_dir():
            return list_folder(path, need_train=need_train, kind=image_kind(path))
        if not path.exists():
            raise DataError(f"{where}: no such file or folder; 'digits' is the embedded data set")
    except OSError as error:
        raise DataError(f"{where}: cannot open: {(error.strerror or '').lower()}") from None
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{where}: must be 'digits', a folder of images, a CSV file or a data set in its own "
            f"files (docs/tasks/data.md lists them), got a file {path.suffix}"
        )
    return list_table(path, need_train=need_train, kind=image_kind(path))


def scan_listing(
    listing: Listing,
    max_broken: float,
    reading: Reading,
    progress: Progress | None,
    kept: KeptPixels | None = None,
    *,
    many: bool = False,
) -> tuple[list[FileFacts], list[tuple[str, str]]]:
    """Read every file; stop where too many are broken.

    Args:
        many: whether images may have more channels than colour has.
    """
    files = [item.file for item in listing.items]
    facts, unreadable = scan_files(
        listing.root, files, progress, reading, kept, listing.contents, many
    )
    broken = listing.broken + [
        (file, f"{reason}, {listing.places[file]}" if file in listing.places else reason)
        for file, reason in unreadable
    ]
    check_share(listing.source, broken, count_named(listing), max_broken)
    if not facts:
        raise DataError(f"{listing.source}: must contain readable images, got none")
    return facts, broken


def settle(
    items: list[Item], facts: list[FileFacts], reading: Reading, *, most_refused: float
) -> tuple[Reading, list[str]]:
    """Return the reading with the windows of the training images, and what to say of them.

    Where that would refuse more files than may be broken, all images settle it.
    """
    train = {item.file for item in items if item.split == "train"}
    deep = [fact for fact in facts if fact.values]
    settled = settle_reading(reading, [f.values for f in deep if f.values and f.file in train])
    if sum(unexplained(fact.values, settled[0]) is not None for fact in deep) > most_refused:
        return settle_reading(reading, [fact.values for fact in deep if fact.values])
    return settled


def refuse_unexplained(
    listing: Listing,
    facts: list[FileFacts],
    broken: list[tuple[str, str]],
    reading: Reading,
    max_broken: float,
) -> tuple[list[FileFacts], list[tuple[str, str]]]:
    """Count files whose values have another range than the reading knows among the broken ones."""
    reasons = {fact.file: unexplained(fact.values, reading) for fact in facts}
    refused = [(file, reason) for file, reason in reasons.items() if reason is not None]
    if refused:
        broken = sorted([*broken, *refused])
        check_share(listing.source, broken, count_named(listing), max_broken)
    return [fact for fact in facts if reasons[fact.file] is None], broken


def readable(items: list[Item], facts: list[FileFacts]) -> list[Item]:
    """Return the items whose files the scan could read."""
    good = {fact.file for fact in facts}
    return [item for item in items if item.file in good]


def build(
    source: str | Path,
    listing: Listing,
    items: list[Item],
    classes: tuple[str, ...],
    facts: list[FileFacts],
    broken: list[tuple[str, str]],
    duplicates: list[list[str]],
    seed: int,
    reading: Reading,
    kept: KeptPixels | None = None,
) -> ImageData:
    """Build the opened data set of items that all have their split."""
    modes, sizes = measure(facts)
    channels = common_channels(listing.source, facts)
    store = FileStore(listing.root.resolve(), channels, reading, kept, listing.contents)
    splits = gather(items, classes, store)
    notes = listing.notes + similar_classes(classes) + channel_notes(channels)
    if listing.contents is None:
        notes += unused_pages(listing.root, (fact.file for fact in facts))
    report = ScanReport(
        total=len(facts) + len(broken),
        readable=len(facts),
        broken=broken,
        renamed=[(fact.file, fact.renamed) for fact in facts if fact.renamed],
        ignored=listing.ignored,
        notes=notes,
        leaks=pairs_across(duplicates, {item.file: str(item.split) for item in items}),
        conflicts=pairs_across(duplicates, {item.file: item.label for item in items}),
        modes=modes,
        sizes=sizes,
        per_class=count_classes(splits, classes),
    )
    path = Path(source) if is_hub_name(source) else Path(source).resolve()
    height, width = sizes["height"][1], sizes["width"][1]
    name, place = stored_name(path.stem), stored_name(path)
    # A part of each is enough to tell a picture, and split.json is half as large.
    digests = {fact.file: fact.pixels[:16] for fact in facts}
    shape = (channels, height, width)
    return ImageData(name, place, classes, *shape, splits, report, seed, reading, digests)


def gather(items: list[Item], classes: tuple[str, ...], store: Store) -> dict[str, Split]:
    """Return the splits of the items, in the order of their files."""
    place = {label: i for i, label in enumerate(classes)}
    splits: dict[str, Split] = {}
    for name in SPLITS:
        members = sorted((item for item in items if item.split == name), key=lambda i: i.file)
        if members:
            labels = [place[item.label] for item in members]
            splits[name] = Split([item.file for item in members], labels, store)
    return splits


def count_classes(splits: dict[str, Split], classes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Count images per class for each split."""
    return {
        name: {label: split.labels.count(i) for i, label in enumerate(classes)}
        for name, split in splits.items()
    }


def open_digits(seed: int, classes: Sequence[str] | None) -> ImageData:
    """Open the embedded digits, split like any other data; they are known and not scanned."""
    pixels, labels = load_digits()
    items = [Item(f"digits/{i:05d}", str(label)) for i, label in enumerate(labels)]
    found = class_map("digits", items, classes)
    files: dict[str, list[str]] = {}
    for item in items:
        files.setdefault(item.label, []).append(item.file)
    split_of = cut("digits", files, DIGITS_SHARES, seed=seed)
    items = [replace(item, split=split_of[item.file]) for item in items]
    splits = gather(items, found, PixelStore(pixels))
    report = ScanReport(
        total=len(items),
        readable=len(items),
        modes={"L": len(items)},
        sizes={side: (SIDE, SIDE, SIDE) for side in ("width", "height")},
        per_class=count_classes(splits, found),
    )
    digests = {item.file: item.file for item in items}  # embedded: a name is always one picture
    data = ImageData("digits", "digits", found, 1, SIDE, SIDE, splits, report, seed)
    return replace(data, digests=digests)
