"""Translations of all sentences of a split beside the references and the simplest translations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from convatlas.data.text.pair_data import PairFacts, PairSplit
from convatlas.metric import Metric
from convatlas.progress import Progress
from convatlas.train.translation_figures import (
    BLEU,
    CHRF,
    translation_figures,
    translation_interval,
)

NETWORK, COPIED, FREQUENT = "network", "copied source", "most frequent sentence"
LENGTH_GROUPS = 4  # of sentences, equally many in each


@dataclass(frozen=True)
class TranslationEvaluation:
    """Translations, references and scores.

    Args:
        split: the sentences with their references.
        translations: in the order of the split.
        symbols: of each sentence to translate.
        metric: which score is told first.
    """

    facts: PairFacts
    split: PairSplit
    translations: Sequence[str]
    symbols: Sequence[int]
    metric: Metric = CHRF
    warnings: tuple[str, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return len(self.translations)

    @cached_property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """chrF and BLEU of the network, of copying the source and of the most frequent sentence."""
        references = self.split.references
        made = {
            NETWORK: self.translations,
            COPIED: self.split.sources,
            FREQUENT: [self.facts.frequent_target] * len(self),
        }
        return {name: translation_figures(texts, references) for name, texts in made.items()}

    @cached_property
    def interval(self) -> tuple[float, float]:
        """In which the score told first lies with 95 % confidence, sentences drawn anew."""
        return translation_interval(self.metric, self.translations, self.split.references)

    @cached_property
    def equal(self) -> int:
        """How many translations are the reference, letter by letter."""
        pairs = zip(self.translations, self.split.references, strict=True)
        return sum(one == other for one, other in pairs)

    @property
    def figures(self) -> dict[str, float]:
        """Both scores, the fraction of equal translations, and chrF of the simplest ones."""
        return {
            **self.scores[NETWORK],
            "equal": self.equal / len(self),
            "chrf_copied": self.scores[COPIED][CHRF.key],
            "chrf_frequent": self.scores[FREQUENT][CHRF.key],
        }

    def with_findings(self, warnings: Sequence[str], seen: int) -> "TranslationEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        own = self.scores[NETWORK]
        beside = ", ".join(
            f"{name} {CHRF.text(self.scores[name][CHRF.key])}" for name in (COPIED, FREQUENT)
        )
        return {
            "words": f"chrF {CHRF.text(own[CHRF.key])} and BLEU {BLEU.text(own[BLEU.key])} on "
            f"{len(self):,} sentences ({beside}); {self.equal:,} are the reference itself",
            "interval": list(self.interval),
            "doubts": self.doubts(),
            "lengths": self.lengths(),
        }

    def doubts(self) -> list[str]:
        """Return a sentence for each simple translation that the network does not beat."""
        found = [
            f"it does not translate: the {name} has a {CHRF.words} of "
            f"{CHRF.text(self.scores[name][CHRF.key])}, which is no worse; give it more time or "
            "data"
            for name in (COPIED, FREQUENT)
            if self.scores[NETWORK][CHRF.key] <= self.scores[name][CHRF.key]
        ]
        kinds = len(set(self.translations))
        if kinds < 0.1 * len(set(self.split.references)):
            found.append(
                f"it writes {kinds:,} different translations for {len(self):,} sentences: it has "
                "not learned to translate yet"
            )
        long = sum(each > self.facts.longest_source for each in self.symbols)
        if long:
            found.append(f"{long:,} sentences are longer than any that it was trained on")
        return found

    def lengths(self) -> list[dict[str, Any]]:
        """Return the scores of short and long sentences, for JSON."""
        order = sorted(range(len(self)), key=lambda place: len(self.split.sources[place]))
        size = -(-len(order) // LENGTH_GROUPS)
        rows = []
        for start in range(0, len(order), size):
            places = order[start : start + size]
            sources = [self.split.sources[place] for place in places]
            references = [self.split.references[place] for place in places]
            made = [self.translations[place] for place in places]
            rows.append(
                {
                    "characters": [len(sources[0]), len(sources[-1])],
                    "sentences": len(places),
                    **translation_figures(made, references),
                    "equal": sum(a == b for a, b in zip(made, references, strict=True)),
                }
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        return {
            "scores": {name: dict(scores) for name, scores in self.scores.items()},
            "lengths": self.lengths(),
            "sentences": [
                {
                    "place": pair.place,
                    "source": pair.fields[0],
                    "reference": pair.fields[1],
                    "translation": text,
                }
                for pair, text in zip(self.split.examples, self.translations, strict=True)
            ],
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the scores by length of the sentence to translate."""
        heads = ("characters", "sentences", CHRF.words, BLEU.words, "equal")
        rows = [
            (
                "{} to {}".format(*row["characters"]),
                f"{row['sentences']:,}",
                CHRF.text(row[CHRF.key]),
                BLEU.text(row[BLEU.key]),
                f"{row['equal']:,}",
            )
            for row in self.lengths()
        ]
        return heads, rows, heads[1:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [self.record()["words"]]


def evaluate_translations(
    translate: Callable[..., Sequence[Any]],
    split: PairSplit,
    facts: PairFacts,
    progress: Progress,
    items: str,
) -> TranslationEvaluation:
    """Translate every sentence of a split.

    Args:
        translate: gives the translations of texts, and tells `done` how many there are.
        items: what sentences are called.
    """
    bar = progress.bar("testing", len(split), unit=items)
    found = translate(split.sources, done=bar.update)
    bar.close()
    return TranslationEvaluation(
        facts, split, [each.text for each in found], [each.symbols for each in found]
    )
