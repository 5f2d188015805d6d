"""Translations of sentences that a run is asked for, a few at a time; each fault is named."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from convatlas.data.text.asked_texts import AskedText
from convatlas.deploy.predictor import Predictor
from convatlas.deploy.translator import Translation, Translator
from convatlas.explain.translations.prediction import SentenceTranslation
from convatlas.models.decoding import LENGTH_PENALTY

ASKED_AT_ONCE = 64  # sentences that are translated together


def translate_texts(
    predictor: Callable[[], Predictor],
    asked: Iterable[AskedText],
    *,
    beam: int = 1,
    length_penalty: float = LENGTH_PENALTY,
) -> Iterator[SentenceTranslation]:
    """Yield the translation of each sentence, in order; what has none gets an error.

    A sentence that is longer than any of the training part has none: the network was never asked
    for such, and what it writes of one looks like an answer.

    Args:
        predictor: gives the translator; called only where there is something to translate.
        beam: ways that are followed at once.
        length_penalty: exponent, where `beam` is above 1.
    """
    rest = iter(asked)
    while group := list(islice(rest, ASKED_AT_ONCE)):
        yield from _of_group(predictor, group, beam, length_penalty)


def _of_group(
    predictor: Callable[[], Predictor],
    group: Sequence[AskedText],
    beam: int,
    length_penalty: float,
) -> list[SentenceTranslation]:
    found: list[Translation] = []
    if any(each.error is None for each in group):
        translator = predictor()
        assert isinstance(translator, Translator)
        group = [_not_too_long(each, translator) for each in group]
        texts = [each.text for each in group if each.error is None]
        found = translator.translate(texts, beam=beam, length_penalty=length_penalty)
    rest = iter(found)
    return [
        SentenceTranslation(each.file, each.line, each.text, error=each.error)
        if each.error is not None
        else _answer(each, next(rest))
        for each in group
    ]


def _not_too_long(asked: AskedText, translator: Translator) -> AskedText:
    """Return a sentence, with an error where it is longer than any that was trained on."""
    longest = translator.facts.longest_source
    symbols = 0 if asked.error is not None else len(translator.encode(asked.text))
    if symbols <= longest:
        return asked
    return replace(
        asked,
        error=f"{asked.place}: has {symbols:,} symbols, more than the {longest:,} of the longest "
        "sentence that was trained on; split it into sentences",
    )


def _answer(asked: AskedText, made: Translation) -> SentenceTranslation:
    return SentenceTranslation(asked.file, asked.line, asked.text, made.text, made.unknown)
