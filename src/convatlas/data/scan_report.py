"""What was found in a data set before training, whatever is in it."""

from dataclasses import asdict, dataclass, field

from convatlas.data.findings import findings, with_reasons
from convatlas.data.formats import IMAGES, KINDS


@dataclass(frozen=True)
class ScanReport:
    """What was found in a data set before training.

    Args:
        total: files looked at, readable or not.
        readable: those that are used.
        broken: file and reason of those that are skipped.
        renamed: file and remark where the content differs from the suffix.
        ignored: files passed over because of their names, each with the reason.
        leaks: file, split, file, split of identical files in two splits.
        conflicts: file, class, file, class of identical files under two classes.
        modes: readable files per Pillow mode, or form of sound.
        sizes: smallest, median and largest width and height in pixels, or length.
        per_class: files per class, for each split.
        reading: how files deeper than 8 bits are read, a line for each kind of number.
        notes: sentences on how the source was understood.
        answers: what is wrong with annotations such as boxes, a line for each kind of thing.
        kind: what the files are, in the plural.
    """

    total: int
    readable: int
    broken: list[tuple[str, str]] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    leaks: list[tuple[str, str, str, str]] = field(default_factory=list)
    conflicts: list[tuple[str, str, str, str]] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    per_class: dict[str, dict[str, int]] = field(default_factory=dict)
    reading: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    kind: str = IMAGES.many  # older runs knew no other

    def to_dict(self) -> dict:
        """Return the report as plain lists and dicts, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict) -> "ScanReport":
        """Return the report that `to_dict` gave, also after a way through JSON."""
        pairs = {
            name: [tuple(row) for row in stored[name]]
            for name in ("broken", "renamed", "leaks", "conflicts")
        }
        pairs["ignored"] = with_reasons(stored["ignored"])
        sizes = {side: tuple(row) for side, row in stored["sizes"].items()}
        return cls(**{**stored, **pairs, "sizes": sizes})

    def warnings(self) -> list[str]:
        """Return a sentence for each kind of thing to know before trusting a result."""
        return (
            self.reading
            + self.answers
            + findings(
                broken=self.broken,
                renamed=self.renamed,
                ignored=self.ignored,
                leaks=self.leaks,
                conflicts=self.conflicts,
                kind=KINDS.get(self.kind, IMAGES),
            )
        )
