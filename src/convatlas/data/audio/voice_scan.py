"""A source of speech whose files have been listed and decoded, before it is divided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.open import choose_rate
from convatlas.data.audio.read import MAX_SECONDS
from convatlas.data.audio.scan import Progress, SoundFacts, read_headers, scan_sounds
from convatlas.data.formats import SOUNDS
from convatlas.data.names import printable, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.broken_share import check_share, count_named
from convatlas.data.sources.duplicates import find_duplicates, pairs_across
from convatlas.data.sources.listing import SPLITS, Item, Listing
from convatlas.errors import DataError

SILENT = "silent throughout"
Behind = Callable[[Item], Sequence[str]]  # the further files of an item, such as its voices


@dataclass(frozen=True)
class Reading:
    """How a source is read.

    Args:
        rate_hz: at which sounds are read; they decide where not given.
        max_seconds: of one file.
        max_broken: share of the files that may be broken; they are skipped.
        progress: called with the files done and their total.
        kept: takes what is decoded, so that it need not be decoded again.
    """

    rate_hz: int | None = None
    max_seconds: float = MAX_SECONDS
    max_broken: float = 0.05
    progress: Progress | None = None
    kept: KeptSounds | None = None


class VoiceScan:
    """Files of a listing, each decoded once; what cannot be used is named and left out.

    Args:
        behind: gives the files of an item beside its own.
        fault: says what makes a readable file of no use; empty where nothing does.

    Attributes:
        listing: the items whose files can all be used.
        rate_hz: at which they are read.
        facts: what was found, by file.

    Raises:
        DataError: more files are broken than may be, or none is left.
    """

    def __init__(
        self, listing: Listing, behind: Behind, fault: Callable[[SoundFacts], str], reading: Reading
    ):
        self.behind, self.reading = behind, reading
        files = list(dict.fromkeys(f for i in listing.items for f in (i.file, *behind(i))))
        self.rate_hz = reading.rate_hz or choose_rate(listing, read_headers(listing.root, files))
        check_share(listing.source, listing.broken, count_named(listing), reading.max_broken)
        facts, unreadable = scan_sounds(
            listing.root, files, self.rate_hz, reading.max_seconds, reading.progress, reading.kept
        )
        faults = {fact.file: fault(fact) for fact in facts}
        self.broken = listing.broken + unreadable + [(f, why) for f, why in faults.items() if why]
        check_share(listing.source, self.broken, count_named(listing), reading.max_broken)
        self.facts: Mapping[str, SoundFacts] = {f.file: f for f in facts if not faults[f.file]}
        whole = [item for item in listing.items if self._readable(item)]
        if not whole:
            raise DataError(f"{listing.source}: must contain readable sounds, got none")
        self.listing = replace(listing, items=whole)

    def _readable(self, item: Item) -> bool:
        return all(file in self.facts for file in (item.file, *self.behind(item)))

    @property
    def digests(self) -> dict[str, str]:
        """What the samples of each file are known by."""
        return {fact.file: fact.digest[:16] for fact in self.facts.values()}

    def report(self, listing: Listing, word: str) -> ScanReport:
        """Put together what was found.

        Args:
            listing: with the splits of the items.
            word: what an item is called, in the plural.
        """
        facts = list(self.facts.values())
        duplicates = find_duplicates((fact.file, fact.digest) for fact in facts)
        splits = {
            file: str(item.split)
            for item in listing.items
            for file in (item.file, *self.behind(item))
        }
        counts = {name: sum(i.split == name for i in listing.items) for name in SPLITS}
        return ScanReport(
            total=len(facts) + len(self.broken),
            readable=len(facts),
            broken=self.broken,
            renamed=[(fact.file, fact.renamed) for fact in facts if fact.renamed],
            ignored=listing.ignored,
            leaks=pairs_across(_named_in(duplicates, splits), splits),
            modes=_forms(facts),
            sizes={"length in ms": _lengths(facts)},
            per_class={name: {word: count} for name, count in counts.items() if count},
            notes=listing.notes,
            kind=SOUNDS.many,
        )


def only_test(listing: Listing) -> Listing:
    """Return what a run is judged on: the test split where one is stated, else everything."""
    items = listing.items
    if "test" in listing.given:
        items = [item for item in items if item.split == "test"]
    return replace(listing, items=[replace(item, split="test") for item in items])


def split_members(listing: Listing) -> dict[str, list[Item]]:
    """Return the items of each split that has some, in the order of their files."""
    members = {
        name: sorted((i for i in listing.items if i.split == name), key=lambda i: i.file)
        for name in SPLITS
    }
    return {name: items for name, items in members.items() if items}


def real_source(source: str | Path) -> Path:
    """Return a path that is there.

    Raises:
        DataError: there is none.
    """
    path = Path(source)
    path = path if path.exists() else Path(true_name(str(source)))
    if not path.exists():
        raise DataError(f"{printable(path)}: no such file or folder")
    return path


def root_word(source: Path, root: Path) -> str:
    """Return where the files lie, relative to the folder of a source: there or above it."""
    base = source.resolve() if source.is_dir() else source.resolve().parent
    return "." if root.resolve() == base else ".."


def _named_in(duplicates: Sequence[list[str]], splits: dict[str, str]) -> list[list[str]]:
    kept = [[file for file in each if file in splits] for each in duplicates]
    return [each for each in kept if len(each) > 1]


def _forms(facts: Sequence[SoundFacts]) -> dict[str, int]:
    forms: dict[str, int] = {}
    for fact in facts:
        h = fact.header
        form = f"{h.channels} x {h.rate_hz:,} Hz, {h.format} {h.width}"
        forms[form] = forms.get(form, 0) + 1
    return forms


def _lengths(facts: Sequence[SoundFacts]) -> tuple[int, int, int]:
    lengths = sorted(round(1000 * fact.seconds) for fact in facts)
    return lengths[0], round(median(lengths)), lengths[-1]
