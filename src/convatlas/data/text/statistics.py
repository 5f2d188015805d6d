"""Figures of texts: how long they are, and how much of them the vocabulary does not know."""

from collections.abc import Iterable, Mapping

from convatlas.data.statistics import Statistics, spread
from convatlas.data.text.vocabulary import Vocabulary
from convatlas.text.symbols import UNKNOWN


def text_statistics(texts: Mapping[str, tuple[Iterable[str], Vocabulary]]) -> list[Statistics]:
    """Return characters and symbols of texts, and the share of unknown symbols.

    Args:
        texts: by what they are called, with the vocabulary that they are read with.
    """
    values: dict[str, list[float]] = {}
    for name, (given, vocabulary) in texts.items():
        characters, lengths, unknown = [], [], []
        for text in given:
            symbols = vocabulary.encode(text)
            characters.append(len(text))
            lengths.append(len(symbols))
            unknown.append(sum(s == UNKNOWN for s in symbols) / max(1, len(symbols)))
        head = f"{name}: " if len(texts) > 1 else ""
        values[f"{head}characters"] = characters
        values[f"{head}symbols"] = lengths
        values[f"{head}share of unknown symbols"] = unknown
    return [spread("texts", values)]
