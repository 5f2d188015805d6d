"""Texts with one class each, and the vocabulary that they are read with."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from convatlas.data.text.example_data import OpenedExamples
from convatlas.data.text.read_examples import Example
from convatlas.data.text.stored_examples import TEXTS
from convatlas.data.text.stored_vocabulary import stored_vocabulary
from convatlas.data.text.vocabulary import Vocabulary
from convatlas.text.symbols import END

MAX_TEXT_SYMBOLS = 100_000  # of a text


class TextFacts(BaseModel):
    """What a network and its predictor have to know of texts with classes.

    Args:
        classes: the class map; a label is a place in it.
        vocabulary: as `Vocabulary.to_dict` gives it.
        longest: symbols of the longest text that was trained on.
        usual_symbols: of a text, the median.
        whole_files: each text was a file; a new file is one text then, and not one for each line.
        options: how columns were named, and the longest text that was read.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    classes: Annotated[list[str], Field(min_length=2)]
    vocabulary: dict[str, Any]
    longest: Annotated[int, Field(ge=1, le=MAX_TEXT_SYMBOLS)]
    usual_symbols: Annotated[int, Field(ge=1, le=MAX_TEXT_SYMBOLS)]
    whole_files: bool = False
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) < len(classes):
            raise ValueError("one is listed twice")
        return classes

    def read_with(self) -> Vocabulary:
        """Return the vocabulary.

        Raises:
            DataError: the stored one is damaged.
        """
        return stored_vocabulary(self.vocabulary)


@dataclass(frozen=True, eq=False)
class TextSplit:
    """A sequence of texts with their classes.

    Args:
        examples: each with its place, text and label.
        classes: the class map.
        vocabulary: that the texts are read with.
        train: the texts that were trained on, for counting; None where they are not at hand.
    """

    examples: Sequence[Example]
    classes: Sequence[str]
    vocabulary: Vocabulary
    train: Sequence[Example] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def files(self) -> list[str]:
        """File, or file and line, of each text."""
        return [each.place for each in self.examples]

    @cached_property
    def labels(self) -> list[int]:
        """The class of each text as its place in the class map."""
        place = {name: number for number, name in enumerate(self.classes)}
        return [place[each.fields[1]] for each in self.examples]

    def text(self, index: int) -> str:
        """Return a text itself."""
        return self.examples[index].fields[0]

    def read(self, index: int) -> Tensor:
        """Return the symbols of a text with its end. Shape: int64 (l,)"""
        return text_symbols(self.text(index), self.vocabulary)

    def subset(self, indices: Iterable[int]) -> "TextSplit":
        """Return the texts at these places, in this order."""
        chosen = [self.examples[i] for i in indices]
        return TextSplit(chosen, self.classes, self.vocabulary, self.train)


def text_symbols(text: str, vocabulary: Vocabulary) -> Tensor:
    """Return the symbols of a text with its end, as networks read it. Shape: int64 (l,)"""
    return torch.tensor([*vocabulary.encode(text), END])


@dataclass(frozen=True, eq=False)
class TextData(OpenedExamples[TextSplit, TextFacts]):
    """Texts with classes."""

    stored_as = TEXTS

    @property
    def classes(self) -> tuple[str, ...]:
        """The class map; a label is a place in it."""
        return tuple(self.facts_.classes)

    def summary(self) -> str:
        """Return what is in it in a few words."""
        kind, size = self.facts_.vocabulary["kind"], len(self.facts_.read_with())
        return f"{len(self.classes)} classes, texts of {size:,} {kind}"


def per_class(splits: Mapping[str, TextSplit]) -> dict[str, dict[str, int]]:
    """Count the texts of each class in each split."""
    return {
        name: dict(sorted(Counter(each.fields[1] for each in split.examples).items()))
        for name, split in splits.items()
    }
