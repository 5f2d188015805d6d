"""How many bits a text costs and how it might go on, as it is shown and written."""

from dataclasses import dataclass

from convatlas.text import printable

COLUMNS = ("file", "line", "bits/char", "continuation", "unknown")
CSV_COLUMNS = ("line", "text", "bits per character", "continuation", "unknown")


@dataclass(frozen=True)
class TextPrediction:
    """The answer for one text; `error` says why there is none.

    Args:
        file: its path, or `text 3` for the third one in memory.
        line: of the file, from 1.
        bits: per character, its end counted as one; fewer where the network finds it more probable.
        continuation: the likeliest symbols behind it; empty where it would end there.
        unknown: its characters that the network does not know, each once.
    """

    file: str
    line: int | None = None
    text: str = ""
    bits: float | None = None
    continuation: str | None = None
    unknown: tuple[str, ...] = ()
    error: str | None = None

    def cells(self, top: int) -> list[str]:
        """Return the line, the text, its bits, what follows and the unknown characters."""
        bits = "" if self.bits is None else f"{self.bits:.6f}"
        return [self._line, self.text, bits, self.continuation or "", " ".join(self.unknown)]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return one row; the unknown characters are empty where all are known."""
        if self.bits is None:
            return [(printable(self.file), self._line, None, None, None)]
        more = printable(self.continuation or "")
        unknown = " ".join(map(printable, self.unknown))
        return [(printable(self.file), self._line, f"{self.bits:.4f}", more, unknown)]

    @property
    def _line(self) -> str:
        return "" if self.line is None else str(self.line)
