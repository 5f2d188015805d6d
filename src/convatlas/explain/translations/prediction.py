"""The translation of one sentence, as it is shown and written."""

from dataclasses import dataclass

from convatlas.text import printable

COLUMNS = ("file", "line", "translation", "unknown")
CSV_COLUMNS = ("line", "source", "translation", "unknown")


@dataclass(frozen=True)
class SentenceTranslation:
    """The answer for one sentence; `error` says why there is none.

    Args:
        file: its path, or `text 3` for the third one in memory.
        line: of the file, from 1.
        source: the sentence.
        translation: None where there is none.
        unknown: its characters that the network does not know, each once.
    """

    file: str
    line: int | None = None
    source: str = ""
    translation: str | None = None
    unknown: tuple[str, ...] = ()
    error: str | None = None

    def cells(self, top: int) -> list[str]:
        """Return the line, the sentence, its translation and the unknown characters."""
        return [self._line, self.source, self.translation or "", " ".join(self.unknown)]

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return one row; the unknown characters are empty where all are known."""
        text = None if self.translation is None else printable(self.translation)
        return [(printable(self.file), self._line, text, " ".join(map(printable, self.unknown)))]

    @property
    def _line(self) -> str:
        return "" if self.line is None else str(self.line)

    def unknown_words(self) -> str:
        """Say which characters of the sentence the network does not know."""
        place = printable(self.file) + (f":{self._line}" if self._line else "")
        return f"{place}: the network does not know {' '.join(map(printable, self.unknown))}"
