"""What was wrong with the annotations of images: skipped or mended, counted and named."""

from collections import defaultdict
from dataclasses import dataclass, field

from convatlas.data.names import printable, printable_few
from convatlas.text import count_text

Named = list[tuple[str, str]]  # file, and the annotation's name in its source


@dataclass
class TargetFindings:
    """Annotations that could not be used as they stand.

    Args:
        total: annotations looked at, usable or not.
        skipped: reasons, each with what was left out for it.
        mended: what was done, each with what it was done to.
    """

    total: int = 0
    skipped: dict[str, Named] = field(default_factory=lambda: defaultdict(list))
    mended: dict[str, Named] = field(default_factory=lambda: defaultdict(list))

    def skip(self, file: str, name: str, reason: str) -> None:
        """Remember an annotation that is left out."""
        self.skipped[reason].append((file, name))

    def mend(self, file: str, name: str, change: str) -> None:
        """Remember an annotation that is used otherwise than it stands."""
        self.mended[change].append((file, name))

    def broken(self) -> list[tuple[str, str]]:
        """Return file and reason of everything that was left out."""
        return [
            (file, f"{name}: {reason}")
            for reason, rows in self.skipped.items()
            for file, name in rows
        ]

    def lines(self, word: str) -> list[str]:
        """Return a sentence for each kind of thing, what is left out first."""
        found = [
            f"left out {count_text(len(rows), word)} ({reason}): {_few(rows)}"
            for reason, rows in self.skipped.items()
        ]
        return found + [
            f"{change}, {count_text(len(rows), word)}: {_few(rows)}"
            for change, rows in self.mended.items()
        ]


def _few(rows: Named) -> str:
    return printable_few(f"{printable(file)} {name}" for file, name in rows)
