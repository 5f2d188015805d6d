"""Foretelling texts: each symbol from those before it, judged in bits per character."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.data.text.batches import LengthBatches, padded
from convatlas.data.text.line_data import LineSplit
from convatlas.metric import Metric
from convatlas.text.symbols import PADDING

BITS_PER_CHAR = Metric("bits_per_char", "bits per character", "bits", higher_is_better=False)

Row = tuple[Tensor, int]  # symbols (l,) with their end, characters with the end as one
Batch = tuple[Tensor, Tensor]  # symbols (n, l), characters (n,)


class LineSymbols(Dataset[Row]):
    """The symbols of a split's texts, made once.

    Args:
        chosen: places in the split; None takes all.
    """

    def __init__(self, split: LineSplit, chosen: Sequence[int] | None = None):
        part = split if chosen is None else split.subset(chosen)
        self.texts = [part.read(place) for place in range(len(part))]
        self.characters = [len(text) + 1 for text in part.texts]

    @property
    def lengths(self) -> list[int]:
        """Symbols of each text."""
        return [len(text) for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> Row:
        return self.texts[index], self.characters[index]


class Foretell:
    """What language models bring to the loop."""

    metric = BITS_PER_CHAR

    def __init__(self, train: LineSymbols, validate: LineSymbols):
        self._train, self._validate = train, validate

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches of alike lengths: for training in an order that the seed fixes."""
        train, validate = (
            DataLoader(
                data,
                batch_sampler=LengthBatches(data.lengths, batch_size, order),
                collate_fn=collate,
            )
            for data, order in ((self._train, seed), (self._validate, None))
        )
        return train, validate

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of a symbol, in nats."""
        text, _ = batch
        logits = model(text)
        return F.cross_entropy(logits.flatten(0, 1).float(), text.flatten(), ignore_index=PADDING)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, nats of a symbol, and `val_bits_per_char`."""
        model.eval()
        sums = torch.zeros(3, dtype=torch.float64)
        for text, characters in loader:
            nats = symbol_nats(model(text), text).sum(1)
            known = (text != PADDING).sum(1)
            rows = gather(torch.stack([nats, known.double(), characters.double()], 1))
            sums += rows.sum(0).cpu()
        nats, known, characters = sums.clamp(min=1e-12).tolist()
        return {
            "val_loss": nats / known,
            f"val_{BITS_PER_CHAR.key}": nats / math.log(2) / characters,
        }


def symbol_nats(logits: Tensor, text: Tensor) -> Tensor:
    """Return what each symbol costs, 0 for padding. Shape: (n, l, symbols), (n, l) -> (n, l)"""
    lost = F.cross_entropy(
        logits.flatten(0, 1).float(), text.flatten(), ignore_index=PADDING, reduction="none"
    )
    return lost.view_as(text).double()


def collate(rows: Sequence[Row]) -> Batch:
    """Return texts as one tensor, filled up, and their characters. Shape: (n, l), (n,)"""
    return padded([text for text, _ in rows]), torch.tensor([count for _, count in rows])
