"""How many bits the values of one image cost, as it is shown and written."""

from collections.abc import Mapping
from dataclasses import dataclass

from convatlas.text import printable

COLUMNS = ("file", "bits/dim", "class", "probability")
CSV_COLUMNS = ("bits per dimension", "class", "probability")


@dataclass(frozen=True)
class PixelPrediction:
    """The answer for one image; `error` says why there is none.

    Args:
        file: its path, or `image 3` for the third one in memory.
        bits: per value; fewer where the network finds it more probable.
        classes: how probable each is, all counting alike beforehand; none where the network is
            told no classes.
    """

    file: str
    bits: float | None = None
    classes: Mapping[str, float] | None = None
    error: str | None = None

    @property
    def label(self) -> str | None:
        """The most probable class, if there are classes."""
        return max(self.classes, key=self.classes.__getitem__) if self.classes else None

    def cells(self, top: int) -> list[str]:
        """Return bits, and class with its probability if there are classes."""
        if self.bits is None:
            return ["", "", ""]
        label = self.label
        share = f"{self.classes[label]:.6f}" if self.classes and label is not None else ""
        return [f"{self.bits:.6f}", label or "", share]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return one row, or several where more than one class is asked for."""
        if self.bits is None:
            return [(printable(self.file), None, None, None)]
        ranked = sorted((self.classes or {}).items(), key=lambda pair: -pair[1])[: max(1, top)]
        bits = f"{self.bits:.4f}"
        if not ranked:
            return [(printable(self.file), bits, "-", "-")]
        return [
            (
                printable(self.file) if not number else "",
                bits if not number else "",
                printable(label),
                f"{share:.1%}",
            )
            for number, (label, share) in enumerate(ranked)
        ]
