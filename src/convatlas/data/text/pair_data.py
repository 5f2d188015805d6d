"""Sentences in two languages with the vocabularies that they are read with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from convatlas.data.text.example_data import OpenedExamples
from convatlas.data.text.read_examples import Example
from convatlas.data.text.stored_examples import PAIRS
from convatlas.data.text.stored_vocabulary import stored_vocabulary
from convatlas.data.text.vocabulary import Vocabulary
from convatlas.text.symbols import END

MAX_SYMBOLS = 10_000  # of a sentence


class PairFacts(BaseModel):
    """What a translator has to know of the data.

    Args:
        source_name: the language that is read, as a column or a file is named.
        target_name: the language that is written.
        source_vocabulary: as `Vocabulary.to_dict` gives it.
        target_vocabulary: the same; None where both languages share one.
        longest_source: symbols of the longest sentence that was trained on.
        longest_target: the same of the language that is written.
        usual_symbols: of a sentence, the median over both languages.
        frequent_target: the translation that the training part has most often.
        options: how columns were named, and the longest text that was read.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    source_name: str
    target_name: str
    source_vocabulary: dict[str, Any]
    target_vocabulary: dict[str, Any] | None = None
    longest_source: Annotated[int, Field(ge=1, le=MAX_SYMBOLS)]
    longest_target: Annotated[int, Field(ge=1, le=MAX_SYMBOLS)]
    usual_symbols: Annotated[int, Field(ge=1, le=MAX_SYMBOLS)]
    frequent_target: str
    options: dict[str, Any] = Field(default_factory=dict)

    def vocabularies(self) -> tuple[Vocabulary, Vocabulary]:
        """Return those of the language that is read and of the one that is written.

        Raises:
            DataError: a stored one is damaged.
        """
        source = stored_vocabulary(self.source_vocabulary)
        if self.target_vocabulary is None:
            return source, source
        return source, stored_vocabulary(self.target_vocabulary)


@dataclass(frozen=True, eq=False)
class PairSplit:
    """Sentences and their translations.

    Args:
        examples: each with its place and both sentences.
        vocabularies: of both languages.
    """

    examples: Sequence[Example]
    vocabularies: tuple[Vocabulary, Vocabulary]

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def files(self) -> list[str]:
        """File and line of each pair."""
        return [pair.place for pair in self.examples]

    @property
    def sources(self) -> list[str]:
        """The sentences to translate."""
        return [pair.fields[0] for pair in self.examples]

    @property
    def references(self) -> list[str]:
        """Their translations."""
        return [pair.fields[1] for pair in self.examples]

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the symbols of a pair, each sentence with its end. Shape: int64 (l,) and (m,)"""
        pair = self.examples[index]
        found = [
            torch.tensor([*vocabulary.encode(text), END])
            for vocabulary, text in zip(self.vocabularies, pair.fields, strict=True)
        ]
        return found[0], found[1]

    def subset(self, indices: Iterable[int]) -> "PairSplit":
        """Return the pairs at these places, in this order."""
        return PairSplit([self.examples[index] for index in indices], self.vocabularies)


@dataclass(frozen=True, eq=False)
class PairData(OpenedExamples[PairSplit, PairFacts]):
    """Sentence pairs; a pair is known by the sentence to translate."""

    stored_as = PAIRS

    def summary(self) -> str:
        """Return what is in it in a few words."""
        facts = self.facts_
        source, target = next(iter(self.splits.values())).vocabularies
        kind = facts.source_vocabulary["kind"]
        sizes = (
            f"{len(source):,} {kind} shared by both languages"
            if facts.target_vocabulary is None
            else f"{len(source):,} and {len(target):,} {kind}"
        )
        return f"sentences from {facts.source_name} to {facts.target_name}, {sizes}"
