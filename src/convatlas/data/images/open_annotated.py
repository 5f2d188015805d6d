"""Opening annotated images: scan the files, lay targets on images, split."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from convatlas.data.images.annotated import (
    AnnotatedData,
    AnnotatedSplit,
    Annotations,
    TargetKind,
    UnusableTarget,
)
from convatlas.data.images.image_data import FileStore
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.open import readable, refuse_unexplained, scan_listing, settle
from convatlas.data.images.scan import FileFacts, Progress, measure
from convatlas.data.images.stored_reading import PLAIN, Reading
from convatlas.data.names import printable, printable_few, stored_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share, count_named
from convatlas.data.sources.duplicates import find_duplicates, pairs_across
from convatlas.data.sources.listing import SPLITS, Item
from convatlas.data.sources.split import cut_items
from convatlas.errors import DataError

T = TypeVar("T")
MIN_STRATUM = 3  # images: one for each split


def open_annotated(
    source: str | Path,
    found: Annotations[T],
    kind: TargetKind[T],
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    classes: Sequence[str] | None = None,
    reading: Reading = PLAIN,
    progress: Progress | None = None,
    kept: KeptPixels | None = None,
) -> AnnotatedData[T]:
    """Open what a lister found: every image is read once, and what is wrong is named.

    For training, splits that the source states are kept, and what is missing is cut off train,
    seeded and so that rare classes get into each. For judging there is one split, `test`.

    Args:
        max_broken: share of the images, and of the annotations, that may be broken; they are
            skipped.
        classes: the class map of a run: then the data are opened for judging it.
        reading: the limits of size, and what the numbers of deep files mean.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that it need not be decoded again.

    Raises:
        DataError: the data cannot be used; names the file or annotation and a way out.
    """
    listing = found.listing
    check_share(listing.source, listing.broken, count_named(listing), max_broken)
    if not found.classes:
        raise DataError(f"{listing.source}: must name {kind.word} of at least one class, got none")
    if classes is not None:
        found = for_judging(found, kind, classes)
        listing = found.listing
    facts, broken = scan_listing(listing, max_broken, reading, progress, kept)
    targets, unusable = lay_on(found, kind, facts)
    broken = sorted([*broken, *unusable])
    check_share(listing.source, broken, count_named(listing), max_broken)
    skipped = found.found.broken()
    check_share(listing.source, skipped, found.found.total, max_broken, kind.word)
    facts = [fact for fact in facts if fact.file in targets]
    duplicates = find_duplicates((fact.file, fact.pixels) for fact in facts)
    items = readable(listing.items, facts)
    remarks: list[str] = []
    if classes is None:
        items = split(found, kind, items, targets, seed, duplicates)
        most = max_broken * len(listing.items)
        reading, remarks = settle(items, facts, reading, most_refused=most)
    facts, broken = refuse_unexplained(listing, facts, broken, reading, max_broken)
    items = readable(items, facts)
    _check_splits(listing.source, items, kind)
    store_channels = 1 if all(fact.grey for fact in facts) else 3
    store = FileStore(listing.root.resolve(), store_channels, reading, kept)
    splits = gather(items, targets, store)
    modes, sizes = measure(facts)
    counts = {
        name: dict(zip(found.classes, kind.count(part.targets, len(found.classes)), strict=True))
        for name, part in splits.items()
    }
    report = ScanReport(
        total=len(facts) + len(broken),
        readable=len(facts),
        broken=broken,
        renamed=[(fact.file, fact.renamed) for fact in facts if fact.renamed],
        ignored=listing.ignored,
        notes=listing.notes + untaught(counts, kind),
        leaks=pairs_across(duplicates, {item.file: str(item.split) for item in items}),
        modes=modes,
        sizes=sizes,
        per_class=counts,
        reading=remarks,
        answers=found.found.lines(kind.word),
    )
    path = Path(source).resolve()
    return AnnotatedData(
        name=stored_name(path.stem),
        source=stored_name(path),
        root=relative_root(path, listing.root.resolve()),
        kind=kind,
        classes=found.classes,
        channels=store_channels,
        height=sizes["height"][1],
        width=sizes["width"][1],
        splits=splits,
        scan=report,
        seed=seed,
        reading=reading,
        digests={fact.file: fact.pixels[:16] for fact in facts},
    )


def for_judging(
    found: Annotations[T], kind: TargetKind[T], classes: Sequence[str]
) -> Annotations[T]:
    """Return the test images alone, with the class map of a run.

    Raises:
        DataError: something has a class that the run does not know.
    """
    listing = found.listing
    items, notes = listing.items, list(listing.notes)
    if "test" in listing.given:
        items = [item for item in items if item.split == "test"]
    elif listing.given:
        given = " and ".join(name for name in SPLITS if name in listing.given)
        notes.append(f"{listing.source}: no test split, so the images of {given} are used")
    targets = {item.file: found.targets[item.file] for item in items}
    counts = kind.count(list(targets.values()), len(found.classes))
    used = [label for label, count in zip(found.classes, counts, strict=True) if count]
    extra = sorted(set(used) - set(classes))
    if extra:
        raise DataError(
            f"{listing.source}: must contain the {len(classes)} classes of the run, got extra "
            f"{printable_few(extra, most=10)}"
        )
    absent = sorted(set(classes) - set(used))
    if absent:
        notes.append(f"no {kind.word} of {printable_few(absent, most=10)}")
    known = {label: place for place, label in enumerate(classes)}
    places = {i: known[label] for i, label in enumerate(found.classes) if label in known}
    return Annotations(
        replace(listing, items=[replace(item, split="test") for item in items], notes=notes),
        {file: kind.relabelled(target, places) for file, target in targets.items()},
        tuple(classes),
        found.found,
    )


def lay_on(
    found: Annotations[T], kind: TargetKind[T], facts: Sequence[FileFacts]
) -> tuple[dict[str, T], list[tuple[str, str]]]:
    """Return the targets in pixels, and the files that cannot be used with theirs."""
    targets: dict[str, T] = {}
    unusable: list[tuple[str, str]] = []
    root = found.listing.root
    for fact in facts:
        target = found.targets[fact.file]
        try:
            targets[fact.file] = kind.fit(
                fact.file, target, fact.width, fact.height, found.found, root
            )
        except UnusableTarget as error:
            unusable.append((fact.file, str(error)))
    return targets, unusable


def split(
    found: Annotations[T],
    kind: TargetKind[T],
    items: list[Item],
    targets: dict[str, T],
    seed: int,
    duplicates: list[list[str]],
) -> list[Item]:
    """Return the items with a split each, cut within groups of images that hold the same class."""
    listing = found.listing
    free = [item for item in items if item.split in (None, "train")]
    if len(free) < MIN_STRATUM:
        where = "the train split" if listing.given else "it"
        raise DataError(
            f"{listing.source}: {where} must contain at least {MIN_STRATUM} images to train, "
            f"validate and test on, got {len(free)}"
        )
    if listing.groups:  # few, and cut as wholes
        items = [replace(item, label="") for item in items]
        return cut_items(listing, items, seed, duplicates)
    names = kind.strata([targets[item.file] for item in free], len(found.classes))
    sizes = {name: names.count(name) for name in set(names)}
    largest = max(sizes, key=lambda name: (sizes[name], name))
    named = {
        item.file: name if sizes[name] >= MIN_STRATUM else largest
        for item, name in zip(free, names, strict=True)
    }
    items = [replace(item, label=named.get(item.file, item.label)) for item in items]
    return cut_items(listing, items, seed, duplicates)


def _check_splits(source: str, items: Sequence[Item], kind: TargetKind) -> None:
    """Refuse a split of which nothing is left."""
    left = {item.split for item in items}
    gone = [name for name in SPLITS if name not in left]
    if "test" not in left or (len(left) > 1 and gone):
        raise DataError(f"{source}: no image of the {gone[0]} split can be read")


def gather(
    items: Sequence[Item], targets: dict[str, T], store: FileStore
) -> dict[str, AnnotatedSplit[T]]:
    """Return the splits of the items, in the order of their files."""
    splits: dict[str, AnnotatedSplit[T]] = {}
    for name in SPLITS:
        files = sorted(item.file for item in items if item.split == name)
        if files:
            splits[name] = AnnotatedSplit(files, [targets[file] for file in files], store)
    return splits


def untaught(counts: dict[str, dict[str, int]], kind: TargetKind) -> list[str]:
    """Say which classes cannot be trained or tested for want of examples."""
    lines = []
    for name, by_class in counts.items():
        gone = [label for label, count in by_class.items() if not count]
        if gone and len(counts) > 1:
            lines.append(f"no {kind.word} of {printable_few(gone, most=10)} in the {name} split")
    return lines


def relative_root(source: Path, root: Path) -> str:
    """Return where the files lie, by the folder of the source, for `stored_root`."""
    folder = source if source.is_dir() else source.parent
    try:
        return stored_name(root.relative_to(folder).as_posix())
    except ValueError:
        raise DataError(
            f"{printable(source)}: its images must lie below {printable(folder)}, got "
            f"{printable(root)}"
        ) from None
