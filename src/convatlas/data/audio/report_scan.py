"""What the scan of a set of sounds found, for people to read."""

from collections import Counter
from statistics import median

from convatlas.data.audio.scan import SoundFacts
from convatlas.data.formats import SOUNDS
from convatlas.data.names import printable
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.classes import similar_classes
from convatlas.data.sources.duplicates import pairs_across
from convatlas.data.sources.listing import Item, Listing


def report_scan(
    listing: Listing,
    items: list[Item],
    classes: tuple[str, ...],
    facts: list[SoundFacts],
    broken: list[tuple[str, str]],
    duplicates: list[list[str]],
    per_class: dict[str, dict[str, int]],
    silence_db: float | None,
) -> ScanReport:
    """Put together what is wrong or noteworthy, before anything is trained.

    Args:
        items: the readable ones, each with its split.
        per_class: sounds by split and class.
        silence_db: as in `without_silence`.
    """
    silent = [fact.file for fact in facts if fact.silent]
    notes = listing.notes + similar_classes(classes)
    if silent:
        notes.append(
            f"{len(silent):,} sounds are silent throughout, such as {printable(silent[0])}"
        )
    if silence_db is not None:
        notes.append(_silence_note(facts, silence_db))
    forms = Counter(
        f"{f.header.channels} x {f.header.rate_hz:,} Hz, {f.header.format} {f.header.width}"
        for f in facts
    )
    milliseconds = sorted(round(1000 * fact.seconds) for fact in facts)
    return ScanReport(
        total=len(facts) + len(broken),
        readable=len(facts),
        broken=broken,
        renamed=[(fact.file, fact.renamed) for fact in facts if fact.renamed],
        ignored=listing.ignored,
        leaks=pairs_across(duplicates, {item.file: str(item.split) for item in items}),
        conflicts=pairs_across(duplicates, {item.file: item.label for item in items}),
        modes=dict(forms),
        sizes={"length in ms": (milliseconds[0], round(median(milliseconds)), milliseconds[-1])},
        per_class=per_class,
        notes=notes,
        kind=SOUNDS.many,
    )


def _silence_note(facts: list[SoundFacts], silence_db: float) -> str:
    total, heard = (sum(getattr(f, key) for f in facts) for key in ("seconds", "heard_s"))
    return (
        f"silence is left out: {1 - heard / total:.1%} of the time is {silence_db:g} dB or more "
        "below the loudest moment of its sound"
    )
