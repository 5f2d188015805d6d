"""Texts to be foretold symbol by symbol, and the vocabulary that they are read with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from convatlas.data.text.example_data import OpenedExamples
from convatlas.data.text.labelled_data import text_symbols
from convatlas.data.text.read_examples import Example
from convatlas.data.text.stored_examples import LINES
from convatlas.data.text.stored_vocabulary import stored_vocabulary
from convatlas.data.text.vocabulary import Vocabulary

MAX_LINE_SYMBOLS = 10_000  # of a text


class LineFacts(BaseModel):
    """What a language model has to know of the data.

    Args:
        vocabulary: as `Vocabulary.to_dict` gives it.
        longest: symbols of the longest text that was trained on, its end included.
        usual_symbols: of a text, the median.
        max_characters: longer lines are cut into several texts.
        options: how the column was named.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    vocabulary: dict[str, Any]
    longest: Annotated[int, Field(ge=1, le=MAX_LINE_SYMBOLS)]
    usual_symbols: Annotated[int, Field(ge=1, le=MAX_LINE_SYMBOLS)]
    max_characters: Annotated[int, Field(ge=1, lt=MAX_LINE_SYMBOLS)]
    options: dict[str, Any] = Field(default_factory=dict)

    def read_with(self) -> Vocabulary:
        """Return the vocabulary.

        Raises:
            DataError: the stored one is damaged.
        """
        return stored_vocabulary(self.vocabulary)


@dataclass(frozen=True, eq=False)
class LineSplit:
    """A sequence of texts.

    Args:
        examples: each with its place and text.
        vocabulary: that the texts are read with.
        train: the texts that were trained on, for counting; None where they are not at hand.
    """

    examples: Sequence[Example]
    vocabulary: Vocabulary
    train: Sequence[Example] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def files(self) -> list[str]:
        """File and line of each text."""
        return [each.place for each in self.examples]

    @property
    def texts(self) -> list[str]:
        """The texts themselves."""
        return [each.fields[0] for each in self.examples]

    def read(self, index: int) -> Tensor:
        """Return the symbols of a text with its end. Shape: int64 (l,)"""
        return text_symbols(self.examples[index].fields[0], self.vocabulary)

    def subset(self, indices: Iterable[int]) -> "LineSplit":
        """Return the texts at these places, in this order."""
        return LineSplit([self.examples[i] for i in indices], self.vocabulary, self.train)


@dataclass(frozen=True, eq=False)
class LineData(OpenedExamples[LineSplit, LineFacts]):
    """Texts without labels."""

    stored_as = LINES

    def summary(self) -> str:
        """Return what is in it in a few words."""
        kind, size = self.facts_.vocabulary["kind"], len(self.facts_.read_with())
        characters = sum(len(text) for split in self.splits.values() for text in split.texts)
        return f"{characters:,} characters in lines, {size:,} {kind}"
