"""The class map: one for all splits, and the same one when a run meets new data."""

from collections.abc import Collection, Iterable, Sequence

from convatlas.data.formats import IMAGES, FileKind
from convatlas.data.names import printable_few
from convatlas.data.sources.listing import SPLITS, Item
from convatlas.errors import DataError


def class_map(
    source: str, items: Iterable[Item], stored: Sequence[str] | None, *, some: bool = False
) -> tuple[str, ...]:
    """Return the classes of a data set in their order, checked against a run's own where given.

    Args:
        some: not every class of the run need be there.

    Raises:
        DataError: one class only, a class missing from a stated split or extra in it, or
            other classes than the stored ones.
    """
    by_split: dict[str | None, set[str]] = {}
    for item in items:
        by_split.setdefault(item.split, set()).add(item.label)
    trained = by_split.get("train") or by_split.get(None) or set().union(*by_split.values())
    if stored is not None:
        found = set().union(*by_split.values()) if some else trained
        check_same(source, found, found & set(stored) if some else stored, stored)
        if some:
            return tuple(stored)
    elif len(trained) < 2:
        raise DataError(
            f"{source}: must contain at least two classes, got {len(trained)}: "
            f"{printable_few(trained)}"
        )
    for split in SPLITS:
        if split in by_split:
            check_split(source, split, by_split[split], trained)
    return tuple(stored) if stored is not None else tuple(sorted(trained))


def similar_classes(classes: Iterable[str]) -> list[str]:
    """Say which classes have names that are easily one: `Cat`, `cat` and `cat_`."""
    groups: dict[str, list[str]] = {}
    for label in classes:
        plain = " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
        groups.setdefault(plain, []).append(label)
    return [
        f"the classes {printable_few(group, most=10)} differ in case, spaces or dashes only, "
        "and are treated as different classes"
        for group in groups.values()
        if len(group) > 1
    ]


def check_same(
    source: str, found: Collection[str], asked: Collection[str], stored: Collection[str]
) -> None:
    """Refuse data whose classes are not those of the run that are asked for."""
    missing, extra = sorted(set(asked) - set(found)), sorted(set(found) - set(stored))
    parts = [
        f"{word} {printable_few(names, most=10)}"
        for word, names in (("missing", missing), ("extra", extra))
        if names
    ]
    if parts:
        got = " and ".join(parts)
        raise DataError(f"{source}: must contain the {len(stored)} classes of the run, got {got}")


def absent_classes(
    items: Iterable[Item], classes: Sequence[str], kind: FileKind = IMAGES
) -> list[str]:
    """Say which classes of the run the data hold no files of."""
    gone = sorted(set(classes) - {item.label for item in items})
    return [f"no {kind.many} of {printable_few(gone, most=10)}"] if gone else []


def check_split(source: str, split: str, found: set[str], classes: set[str]) -> None:
    """Refuse a split whose classes are not those it is trained on."""
    missing, extra = sorted(classes - found), sorted(found - classes)
    if missing:
        raise DataError(
            f"{source}: the {split} split must contain every class, got none of "
            f"{printable_few(missing, most=10)}"
        )
    if extra:
        raise DataError(
            f"{source}: the {split} split must contain the classes of train only, got also "
            f"{printable_few(extra, most=10)}"
        )


def check_left(
    source: str, items: Iterable[Item], classes: Sequence[str], kind: FileKind = IMAGES
) -> None:
    """Refuse a class, or a stated split of it, of which no file could be read."""
    left: dict[str | None, set[str]] = {}
    for item in items:
        left.setdefault(item.split, set()).add(item.label)
    for split, labels in left.items():
        gone = sorted(set(classes) - labels)
        if gone:
            where = f" in the {split} split" if split else ""
            raise DataError(
                f"{source}: every class must have readable {kind.many}{where}, got none of "
                f"{printable_few(gone, most=10)}; fix the files or remove the class"
            )
