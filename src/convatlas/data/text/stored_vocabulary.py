"""A vocabulary of any kind, from what a run stores of it."""

from collections.abc import Mapping
from typing import Any

from convatlas.data.text.subwords import Subwords
from convatlas.data.text.vocabulary import CHARACTERS, SUBWORDS, Characters, Vocabulary
from convatlas.data.text.words import WORDS, Words
from convatlas.errors import DataError
from convatlas.text import printable


def stored_vocabulary(stored: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary that `to_dict` gave, also after a way through JSON.

    Raises:
        DataError: it is none.
    """
    kind, characters, model = (stored.get(key) for key in ("kind", "characters", "model"))
    if kind == CHARACTERS and isinstance(characters, str) and characters:
        if len(set(characters)) < len(characters):
            raise DataError("a vocabulary must have each character once")
        return Characters(characters)
    if kind == SUBWORDS and isinstance(model, str):
        return Subwords(model)
    words = stored.get("words")
    if kind == WORDS and isinstance(words, list) and _are_words(words):
        return Words(words)
    raise DataError(f"must be a vocabulary of characters, words or subwords, got {printable(kind)}")


def _are_words(words: list[Any]) -> bool:
    """Return whether these are words, each there once."""
    texts = all(isinstance(word, str) and word for word in words)
    return texts and 0 < len(set(words)) == len(words)
