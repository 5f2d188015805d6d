"""Classification of texts: batches of alike lengths, some symbols unknown in training."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from convatlas.data.text.batches import LengthBatches, padded
from convatlas.data.text.labelled_data import TextSplit
from convatlas.text.symbols import PADDING, UNKNOWN
from convatlas.train.tasks.classify import Classify

Row = tuple[Tensor, int]  # symbols (l,), label


class TextSymbols(Dataset[Row]):
    """The symbols of a split's texts with their labels, made once.

    Args:
        chosen: places in the split; None takes all.
    """

    def __init__(self, split: TextSplit, chosen: Sequence[int] | None = None):
        part = split if chosen is None else split.subset(chosen)
        self.texts, self.labels = [part.read(i) for i in range(len(part))], part.labels

    @property
    def lengths(self) -> list[int]:
        """Symbols of each text."""
        return [len(text) for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> Row:
        return self.texts[index], self.labels[index]


class ClassifyTexts(Classify):
    """What the classification of texts brings to the loop; its arguments are those of `Classify`.

    Args:
        train: `TextSymbols`; `validate` too.
    """

    def __init__(self, train: TextSymbols, validate: TextSymbols, **options):
        super().__init__(train, validate, **options)
        self._lengths = train.lengths, validate.lengths

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches of alike lengths: for training in an order that the seed fixes."""
        train, validate = (
            DataLoader(data, batch_sampler=LengthBatches(lengths, size, order), collate_fn=collate)
            for data, lengths, size, order in (
                (self._train, self._lengths[0], batch_size, seed),
                (self._validate, self._lengths[1], 4 * batch_size, None),
            )
        )
        return train, validate


def collate(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return texts as one tensor, filled up, and their labels. Shape: (n, l), (n,)"""
    return padded([text for text, _ in rows]), torch.tensor([label for _, label in rows])


def with_unknown(symbols: Tensor, share: float) -> Tensor:
    """Put the unknown symbol in place of a share of those that are no padding. Shape: (n, l)"""
    dropped = torch.rand(symbols.shape, device=symbols.device) < share
    return symbols.where(~dropped | (symbols == PADDING), UNKNOWN)
