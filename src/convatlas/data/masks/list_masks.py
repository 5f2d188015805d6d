"""From pairs of files to `Annotations`: every mask is read once, its values become classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from convatlas.data.images.annotated import Annotations
from convatlas.data.images.read import UnreadableImage, quiet_pillow
from convatlas.data.masks.class_names import is_no_class, read_class_names
from convatlas.data.masks.mask_files import IGNORED, MAX_MASK_CLASSES, Mask
from convatlas.data.masks.mask_values import count_values, read_values, value_name
from convatlas.data.masks.pairs import Pairs, find_pairs
from convatlas.data.masks.stack_pairs import divide_stacks, pair_slices
from convatlas.data.names import file_path, printable, printable_few
from convatlas.data.sources.listing import Item, Listing
from convatlas.data.threads import in_threads
from convatlas.errors import DataError

BINARY = ("background", "foreground")  # the names of two values that no file names
NO_MASK = "has no mask"
NO_IMAGE = "a mask without an image"


def list_pairs(
    root: Path, ignored: Sequence[int] | None = None, known: Sequence[str] | None = None
) -> tuple[Annotations[Mask], tuple[int, ...]]:
    """Read the masks of a folder or npz file, and the values without a class.

    Stacks are read slice by slice, which stay together.

    Args:
        ignored: values whose pixels have no class; None takes those that a file names so, and
            255 beside two others or more.
        known: the classes of a run, where the data are opened for judging it.

    Raises:
        DataError: there are no pairs, or the values make no classes.
    """
    where = printable(root)
    found = pairs_of(root)
    root = root if root.is_dir() else root.parent
    slices = pair_slices(root, found)
    if known is None:
        slices = divide_stacks(slices)
    if not slices.pairs and not slices.broken:
        raise DataError(f"{where}: must hold images with masks, got none")
    listing = Listing(where, root, [], ignored=found.ignored, notes=slices.notes)
    listing.broken.extend(slices.broken)
    listing.broken.extend((file, NO_MASK) for file in found.alone)
    listing.ignored.extend((file, NO_IMAGE) for file in found.masks)

    def read(mask: str) -> tuple[tuple[int, int], dict[int, int]] | str:
        try:
            values = read_values(file_path(root, mask))
            return (values.shape[1], values.shape[0]), count_values(values)
        except UnreadableImage as error:
            return f"its mask {printable(mask)}: {error}"

    masks = [mask for _, mask, _ in slices.pairs]
    sizes: dict[str, tuple[int, int]] = {}
    counts: dict[str, dict[int, int]] = {}
    with quiet_pillow(), closing(in_threads(read, masks)) as results:
        for (image, _, split), result in zip(slices.pairs, results, strict=True):
            if isinstance(result, str):
                listing.broken.append((image, result))
                continue
            listing.items.append(Item(image, "", split))
            sizes[image], counts[image] = result
    if not listing.items:
        file, reason = listing.broken[-1]
        raise DataError(f"{where}: no mask can be used; {printable(file)}: {reason}")
    total: Counter[int] = Counter()
    for each in counts.values():
        total.update(each)
    names, without, notes = name_classes(root, total, ignored, known)
    listing.notes.extend(notes)
    classes = tuple(names.values())
    places = {value: place for place, value in enumerate(names)}
    files = {image: mask for image, mask, _ in slices.pairs}
    targets = {file: Mask(files[file], sizes[file], counts[file], places) for file in counts}
    return Annotations(replace(listing, groups=slices.groups()), targets, classes), without


def pairs_of(source: Path) -> Pairs:
    """Return what belongs together in a folder, or in an npz file."""
    return find_pairs(source) if source.is_dir() else Pairs(archives=[(source.name, None)])


def name_classes(
    root: Path,
    counts: Mapping[int, int],
    ignored: Sequence[int] | None,
    known: Sequence[str] | None,
) -> tuple[dict[int, str], tuple[int, ...], list[str]]:
    """Return the classes by their values, the values without a class, and what to say of them.

    Raises:
        DataError: there are too many values, or all pixels have one class.
    """
    where, values = printable(root), sorted(counts)
    named = read_class_names(root)
    notes: list[str] = []
    if named is not None:
        every, file = named
        without = {value for value, name in every.items() if is_no_class(name)}
        if not (set(values) & set(every)):
            shown = printable_few([value_name(v) for v in values])
            raise DataError(f"{where}: no mask has a value that {file} names, got {shown}")
        notes.append(f"classes as {file} names them")
        names = {value: name for value, name in every.items() if value in counts}
        unused = [name for value, name in every.items() if value not in counts]
        if unused and known is None:
            notes.append(f"no mask shows {printable_few(unused)}, left out")
    else:
        without = {IGNORED} if len(values) > 2 else set()
        names = {value: value_name(value) for value in values}
    if ignored is not None:
        without = set(ignored)
    names = {value: name for value, name in names.items() if value not in without}
    if hidden := sorted(without & set(values)):
        share = sum(counts[value] for value in hidden) / sum(counts.values())
        shown = ", ".join(map(value_name, hidden))
        notes.append(f"pixels of the value {shown} have no class: {share:.1%} of all")
    if named is None and _binary(names, known):
        names = {value: BINARY[value != 0] for value in names}
    _check_classes(where, names, known)
    return names, tuple(sorted(without)), notes


def _binary(names: Mapping[int, str], known: Sequence[str] | None) -> bool:
    """Whether values tell a thing from its ground: 0 and one other."""
    if known is not None:
        return tuple(known) == BINARY and len(set(names) - {0}) <= 1
    return len(names) == 2 and 0 in names


def _check_classes(where: str, names: Mapping[int, str], known: Sequence[str] | None) -> None:
    if len(names) > MAX_MASK_CLASSES:
        raise DataError(
            f"{where}: masks must have {MAX_MASK_CLASSES} classes at most, got {len(names):,} "
            "different values; masks hold the number of a class for each pixel, not a picture"
        )
    if len(names) < 2 and known is None:
        only = printable(next(iter(names.values()), "none"))
        raise DataError(
            f"{where}: masks must show two classes at least, got {len(names)} ({only}); is a value "
            "taken for one without a class? --set ignored=none keeps all"
        )
