"""Opening a set of sounds: list, read the headers, scan, check the classes, split."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.report_scan import report_scan
from convatlas.data.audio.scan import Progress, SoundFacts, read_headers, scan_sounds
from convatlas.data.audio.sound_data import ORIGINAL, Clips, Loudness, SoundData, SoundStore
from convatlas.data.audio.sound_file import Header
from convatlas.data.audio.tables import Folds, find_table, list_sound_table, root_of
from convatlas.data.formats import SOUNDS, FileKind
from convatlas.data.names import printable, stored_name, true_name
from convatlas.data.sources.broken_share import check_share, count_named
from convatlas.data.sources.classes import absent_classes, check_left, class_map
from convatlas.data.sources.duplicates import find_duplicates
from convatlas.data.sources.folders import list_folder
from convatlas.data.sources.holds_kind import holds_kind
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.data.sources.split import cut_items
from convatlas.data.sources.table import SUFFIXES
from convatlas.data.sources.walk import look, walk
from convatlas.errors import DataError

HIGHEST_CHOSEN_HZ = 22_050  # that is chosen: what lies above tells classes apart in few sounds
MIN_WINDOW_S, USUAL_WINDOW_S = 0.25, 5.0  # heard at a time, where the data decide
HEARD_WHOLE = 0.9  # fraction of the sounds that fit into a window, if it is not too long then
FEW = 0.05  # fraction of the sounds that may have a lower rate than the chosen one
FOLD_FOLDER = re.compile(r"fold[ _-]?\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Hearing:
    """How sounds are read, as the user asked.

    Args:
        rate_hz: at which the network hears; the data decide where not given.
        max_seconds: of one file.
        test_fold: of a table with folds.
        group: the column of a table that says of which source a sound is.
        window_s: that the network hears at a time; the data decide where not given.
        loudness: `original`, or `equal`: evened out within a window.
        silence_db: below the loudest frame of a sound, from where its frames are left out.
    """

    rate_hz: int | None = None
    max_seconds: float = MAX_SECONDS
    test_fold: str | None = None
    group: str | None = None
    window_s: float | None = None
    loudness: Loudness = ORIGINAL
    silence_db: float | None = None


def open_sounds(
    source: str | Path,
    *,
    seed: int = 0,
    max_broken: float = 0.05,
    hearing: Hearing | None = None,
    progress: Progress | None = None,
    kept: KeptSounds | None = None,
) -> SoundData:
    """Open sounds for training: every file is decoded once, and what is wrong is named.

    Splits and folds that the source states are kept; what is missing is cut off train, seeded and
    stratified.

    Args:
        source: a folder `CLASS/files`, one with `train/`, `val/` and `test/` of such, a CSV file
            with a column of files and one of classes, or a folder with such a file and the sounds.
        max_broken: share of the files that may be broken; they are skipped.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that it need not be decoded again.

    Raises:
        DataError: the data cannot be used; names the file, line or class and a way out.
    """
    hearing = hearing or Hearing()
    source = _real_source(source)
    listing = list_sounds(source, Folds(hearing.test_fold, group=hearing.group))
    check_share(listing.source, listing.broken, count_named(listing), max_broken)
    named = class_map(listing.source, listing.items, None)  # before minutes of reading
    cut_items(listing, listing.items, seed, [], SOUNDS)
    headers = read_headers(listing.root, [item.file for item in listing.items])
    rate_hz = hearing.rate_hz or choose_rate(listing, headers)
    facts, broken = _scan(listing, rate_hz, hearing, max_broken, progress, kept)
    items = _readable(listing.items, facts)
    check_left(listing.source, items, named, SOUNDS)
    duplicates = find_duplicates((fact.file, fact.digest) for fact in facts)
    items = cut_items(listing, items, seed, duplicates, SOUNDS)
    return _build(
        source, listing, items, named, facts, broken, duplicates, seed, rate_hz, hearing, kept
    )


def open_sound_test(
    source: str | Path,
    classes: Sequence[str],
    *,
    rate_hz: int,
    hearing: Hearing | None = None,
    max_broken: float = 0.05,
    progress: Progress | None = None,
) -> SoundData:
    """Open labelled sounds to evaluate a run on: one split, `test`, and nothing cut off.

    Where the source states a test split, only that is used.

    Args:
        rate_hz: at which the network hears.
        hearing: how else it hears; of this, folds and groups are not looked at.
    """
    source, hearing = _real_source(source), hearing or Hearing()
    listing = list_sounds(source, Folds(used=False), need_train=False)
    check_share(listing.source, listing.broken, count_named(listing), max_broken)
    if "test" in listing.given:
        listing = replace(listing, items=[i for i in listing.items if i.split == "test"])
    elif listing.given:
        given = " and ".join(split for split in SPLITS if split in listing.given)
        listing.notes.append(f"{listing.source}: no test split, so the sounds of {given} are used")
    listing = replace(listing, items=[replace(item, split="test") for item in listing.items])
    named = class_map(listing.source, listing.items, classes, some=True)
    facts, broken = _scan(listing, rate_hz, hearing, max_broken, progress, None)
    items = _readable(listing.items, facts)
    held = {item.label for item in listing.items}
    check_left(listing.source, items, [label for label in named if label in held], SOUNDS)
    listing.notes.extend(absent_classes(items, named, SOUNDS))
    duplicates = find_duplicates((fact.file, fact.digest) for fact in facts)
    return _build(source, listing, items, named, facts, broken, duplicates, 0, rate_hz, hearing)


def list_sounds(
    source: Path, folds: Folds, *, need_train: bool = True, kind: FileKind = SOUNDS
) -> Listing:
    """Return the labelled files of a folder or CSV file.

    Args:
        kind: sounds, or speech, of which a label is the speaker.
    """
    where = printable(source)
    try:
        if source.is_dir():
            table = None if _has_class_folders(source) else find_table(source)
            if table is not None:
                return list_sound_table(table, source, folds=folds, need_train=need_train)
            if folds.test is not None or folds.group is not None:
                asked = "fold" if folds.group is None else printable(folds.group)
                raise DataError(f"{where}: has no table with a column {asked}, which was asked for")
            _check_fold_folders(source, kind)
            return list_folder(source, need_train=need_train, kind=kind)
        if not source.exists():
            raise DataError(f"{where}: no such file or folder")
    except OSError as error:
        raise DataError(f"{where}: cannot open: {(error.strerror or '').lower()}") from None
    if source.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{where}: must be a folder of sounds or a CSV file, got a file {source.suffix}"
        )
    return list_sound_table(source, root_of(source), folds=folds, need_train=need_train)


def choose_rate(listing: Listing, headers: dict[str, Header]) -> int:
    """Return the rate at which sounds are heard: that of the lowest, but for a few.

    With more, a network could tell sounds by what their rate leaves out. What is chosen is noted.
    """
    if not headers:
        return HIGHEST_CHOSEN_HZ  # the scan says what is wrong with each
    rates = sorted(header.rate_hz for header in headers.values())
    chosen = min(rates[int(FEW * len(rates))], HIGHEST_CHOSEN_HZ)
    counts = Counter(rates)
    if set(counts) != {chosen}:
        found = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in sorted(counts.items()))
        listing.notes.append(
            f"sounds are heard at {chosen:,} Hz ({found}); --set rate=HZ takes another rate"
        )
    return chosen


def takes_sounds(source: str | Path) -> bool:
    """Return whether a source looks like labelled sounds, by names alone."""
    return holds_kind(_real_source(source), SOUNDS)


def _has_class_folders(folder: Path) -> bool:
    """Whether two or more folders hold sounds, and are no parts of a table's set."""
    level = look(folder, folder)
    holding = [f for f in level.folders if any(map(SOUNDS.holds, walk(f, folder, SOUNDS).files))]
    return len(holding) > 1 and not all(FOLD_FOLDER.fullmatch(f.name) for f in holding)


def _check_fold_folders(folder: Path, kind: FileKind) -> None:
    folders = look(folder, folder).folders
    if len(folders) > 1 and all(FOLD_FOLDER.fullmatch(each.name) for each in folders):
        raise DataError(
            f"{printable(folder)}: its folders are folds and no {kind.groups}; give the CSV file "
            f"that says the {kind.group} of each sound, or the folder with that file and this one"
        )


def _real_source(source: str | Path) -> Path:
    path = Path(source)
    return path if path.exists() else Path(true_name(str(source)))


def _scan(
    listing: Listing,
    rate_hz: int,
    hearing: Hearing,
    max_broken: float,
    progress: Progress | None,
    kept: KeptSounds | None,
) -> tuple[list[SoundFacts], list[tuple[str, str]]]:
    """Decode every file; stop where too many are broken."""
    files = [item.file for item in listing.items]
    facts, unreadable = scan_sounds(
        listing.root, files, rate_hz, hearing.max_seconds, progress, kept, hearing.silence_db
    )
    broken = listing.broken + [
        (file, f"{reason}, {listing.places[file]}" if file in listing.places else reason)
        for file, reason in unreadable
    ]
    check_share(listing.source, broken, count_named(listing), max_broken)
    if not facts:
        raise DataError(f"{listing.source}: must contain readable sounds, got none")
    return facts, broken


def _readable(items: list[Item], facts: list[SoundFacts]) -> list[Item]:
    good = {fact.file for fact in facts}
    return [item for item in items if item.file in good]


def _build(
    source: Path,
    listing: Listing,
    items: list[Item],
    classes: tuple[str, ...],
    facts: list[SoundFacts],
    broken: list[tuple[str, str]],
    duplicates: list[list[str]],
    seed: int,
    rate_hz: int,
    hearing: Hearing,
    kept: KeptSounds | None = None,
) -> SoundData:
    root = listing.root.resolve()
    store = SoundStore(root, rate_hz, hearing.max_seconds, kept, hearing.silence_db)
    place = {label: i for i, label in enumerate(classes)}
    splits: dict[str, Clips] = {}
    for name in SPLITS:
        members = sorted((item for item in items if item.split == name), key=lambda i: i.file)
        if members:
            labels = [place[item.label] for item in members]
            splits[name] = Clips([item.file for item in members], labels, store)
    per_class = {
        name: {label: split.labels.count(i) for i, label in enumerate(classes)}
        for name, split in splits.items()
    }
    base = source.resolve() if source.is_dir() else source.resolve().parent
    seconds = sorted(fact.heard_s for fact in facts)
    most = seconds[int(HEARD_WHOLE * (len(seconds) - 1))]
    return SoundData(
        name=stored_name(source.resolve().stem),
        source=stored_name(source.resolve()),
        root="." if root == base else "..",
        classes=classes,
        rate_hz=rate_hz,
        seconds=round(median(seconds), 3),
        window_s=hearing.window_s or round(min(USUAL_WINDOW_S, max(MIN_WINDOW_S, most)), 3),
        splits=splits,
        scan=report_scan(
            listing, items, classes, facts, broken, duplicates, per_class, hearing.silence_db
        ),
        seed=seed,
        max_seconds=hearing.max_seconds,
        digests={fact.file: fact.digest[:16] for fact in facts},
        groups=listing.groups,
        folds=listing.folds,
        loudness=hearing.loudness,
        silence_db=hearing.silence_db,
    )
