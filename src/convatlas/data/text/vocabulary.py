"""Vocabularies: the symbols that a network reads a text as, and the text that its symbols mean."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

from convatlas.text.symbols import FIRST_SYMBOL, UNKNOWN

MAX_KINDS = 8192  # characters of a vocabulary: enough for Chinese
MIN_COUNT = 2  # of a character or word: one that is there once teaches what unknown ones are
CHARACTERS, SUBWORDS = "characters", "subwords"


class Vocabulary(Protocol):
    """What turns texts into symbols; the three special symbols are counted as well."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Return the symbols of a text, without the one that ends it."""
        ...

    def decode(self, symbols: Iterable[int]) -> str:
        """Return the text of symbols; special ones have none."""
        ...

    def unknown(self, text: str) -> list[str]:
        """Return the characters of a text that the vocabulary lacks, each once."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON, as `stored_vocabulary` takes it."""
        ...


class Characters:
    """A symbol for each character.

    Args:
        characters: in the order of their symbols, which begin at 3.
    """

    def __init__(self, characters: str):
        self.characters = characters

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Characters":
        """Make the vocabulary of some texts: the characters that are there twice or more."""
        counts = Counter(character for text in texts for character in text)
        often = [(c, n) for c, n in counts.most_common(MAX_KINDS) if n >= MIN_COUNT]
        return cls("".join(sorted(character for character, _ in often)))

    def __len__(self) -> int:
        return FIRST_SYMBOL + len(self.characters)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {character: n for n, character in enumerate(self.characters, start=FIRST_SYMBOL)}

    def encode(self, text: str) -> list[int]:
        return [self._numbers.get(character, UNKNOWN) for character in text]

    def decode(self, symbols: Iterable[int]) -> str:
        return "".join(self.characters[s - FIRST_SYMBOL] for s in symbols if s >= FIRST_SYMBOL)

    def unknown(self, text: str) -> list[str]:
        return [character for character in dict.fromkeys(text) if character not in self._numbers]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": CHARACTERS, "characters": self.characters}


def knows_nothing(vocabulary: Vocabulary, text: str) -> bool:
    """Return whether a text has only symbols that a vocabulary lacks."""
    if not vocabulary.unknown(text):
        return False
    return not vocabulary.decode(vocabulary.encode(text)).strip()


def unknown_counts(vocabulary: Vocabulary, texts: Sequence[str]) -> Counter[str]:
    """Count how often texts have each character that a vocabulary lacks."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update({character: text.count(character) for character in vocabulary.unknown(text)})
    return found
