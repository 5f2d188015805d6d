"""Words as symbols: runs of letters and digits, and each other sign by itself, in small letters."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from convatlas.data.text.vocabulary import MIN_COUNT
from convatlas.text.symbols import FIRST_SYMBOL, UNKNOWN

WORDS = "words"
PATTERN = r"\w+|[^\w\s]"
MAX_WORDS = 30_000  # of a vocabulary, the most frequent ones
_WORD = re.compile(PATTERN)


def words_of(text: str) -> list[str]:
    """Return the words of a text in their order."""
    return _WORD.findall(text.lower())


class Words:
    """A symbol for each word.

    Args:
        words: in the order of their symbols, which begin at 3.
    """

    def __init__(self, words: Sequence[str]):
        self.words = tuple(words)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Words":
        """Make the vocabulary of some texts: the words that are there twice or more."""
        counts = Counter(word for text in texts for word in words_of(text))
        often = [(word, n) for word, n in counts.most_common(MAX_WORDS) if n >= MIN_COUNT]
        return cls(sorted(word for word, _ in often))

    def __len__(self) -> int:
        return FIRST_SYMBOL + len(self.words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, start=FIRST_SYMBOL)}

    def encode(self, text: str) -> list[int]:
        return [self._numbers.get(word, UNKNOWN) for word in words_of(text)]

    def decode(self, symbols: Iterable[int]) -> str:
        """Return the words of symbols with a space between each two."""
        return " ".join(self.words[s - FIRST_SYMBOL] for s in symbols if s >= FIRST_SYMBOL)

    def unknown(self, text: str) -> list[str]:
        """Return the words of a text that the vocabulary lacks, each once."""
        return [word for word in dict.fromkeys(words_of(text)) if word not in self._numbers]

    def to_dict(self) -> dict[str, Any]:
        return {"kind": WORDS, "words": list(self.words)}
