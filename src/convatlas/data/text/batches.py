"""Batches of texts of alike lengths, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from convatlas.text.symbols import PADDING

POOL = 50  # batches' worth of examples, drawn at random, that are sorted by length among themselves


def padded(rows: Sequence[Tensor]) -> Tensor:
    """Return rows of symbols as one tensor, filled up at their ends. Shape: (l,) each -> (n, l)"""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=PADDING)


class LengthBatches(Sampler[list[int]]):
    """Places of examples, a batch at a time, examples of alike lengths together.

    Args:
        lengths: of the examples.
        batch_size: examples of a batch; the last one may have fewer.
        seed: of the order, which is another one in each pass; None sorts all by length.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int | None):
        self.lengths, self.batch_size, self.drop_last = lengths, batch_size, False
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.generator is None:
            order = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
            yield from self._cut(order)
            return
        order = torch.randperm(len(self.lengths), generator=self.generator).tolist()
        pool = POOL * self.batch_size
        batches = [
            batch
            for start in range(0, len(order), pool)
            for batch in self._cut(
                sorted(order[start : start + pool], key=self.lengths.__getitem__)
            )
        ]
        for place in torch.randperm(len(batches), generator=self.generator).tolist():
            yield batches[place]

    def _cut(self, order: list[int]) -> list[list[int]]:
        return [
            order[start : start + self.batch_size]
            for start in range(0, len(order), self.batch_size)
        ]
