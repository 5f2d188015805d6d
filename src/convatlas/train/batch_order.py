"""Batches in an order fixed by (seed, epoch), each read with random numbers of its own place.

So the order and what a data set draws depend neither on what was drawn before nor on the number of
workers, and an epoch can begin in its middle without reading what comes before.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from convatlas.train.random_draws import BATCH, ORDER, seed_of, set_generators
from convatlas.train.sample_reading import NamedSamples, like

BORROWED = 2  # examples that a process without any computes: batch norm takes no single one
REMEMBERED = 64  # batches whose places are kept: workers read a few ahead


class Place(NamedTuple):
    """Where an example stands in a run.

    Args:
        epoch: pass over the data.
        batch: of the pass.
        row: in the data set.
        first: example of the batch that is read with it: 0, or where the part of a process begins.
    """

    epoch: int
    batch: int
    row: int
    first: int = 0


class BatchOrder(Sampler[list[Place]]):
    """The batches of an epoch, from any of them on.

    Args:
        batches: gives the indices of each batch; its generators are set anew for each epoch.
        seed: of the order.
        part: returns from a number of examples the first and the end of those that are read here,
            where several processes share a batch out; None reads all. Where there is none, those at
            the start of the batch are read, as all processes compute, and `counted` is 0.
    """

    def __init__(
        self, batches: Any, seed: int, part: Callable[[int], tuple[int, int]] | None = None
    ):
        self._batches, self._seed, self._part = batches, seed, part
        self._whole = part is None
        self._counted: dict[int, int] = {}
        self._epoch, self._first = 0, 0
        self._last: dict[int, list[int]] = {}
        self.batch_size = getattr(batches, "batch_size", None)  # accelerate asks for these two
        self.drop_last = getattr(batches, "drop_last", False)

    def go_to(self, epoch: int, first: int = 0, *, whole: bool = False) -> None:
        """Let the next pass be that of an epoch, from a batch of it on.

        Args:
            whole: read whole batches here, whichever part is this process's.
        """
        self._epoch, self._first, self._whole = epoch, first, whole or self._part is None
        self._last.clear()
        self._counted.clear()

    def indices(self, batch: int) -> list[int]:
        """Return the examples of a batch that was read a moment ago; none where it is forgotten."""
        return self._last.get(batch, [])

    def counted(self, batch: int) -> int:
        """Return how many examples of a batch that was read a moment ago count here."""
        return self._counted[batch]

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch, first = self._epoch, self._first
        for generator in _generators(self._batches):
            generator.manual_seed(seed_of(self._seed, ORDER, epoch))
        set_generators(seed_of(self._seed, ORDER, epoch))  # of samplers without one of their own
        for number, indices in enumerate(self._batches):
            if number < first:
                continue
            own, start, counted = self._own(list(indices))
            self._last[number], self._counted[number] = own, counted
            self._last.pop(number - REMEMBERED, None)
            self._counted.pop(number - REMEMBERED, None)
            yield [Place(epoch, number, index, start) for index in own]

    def _own(self, indices: list[int]) -> tuple[list[int], int, int]:
        """Return what is read here of a batch, where that begins, and how much of it counts."""
        if self._whole or self._part is None:
            return indices, 0, len(indices)
        start, end = self._part(len(indices))
        if start == end:
            return indices[:BORROWED], 0, 0
        return indices[start:end], start, end - start


class PlacedExamples(Dataset[Any]):
    """A data set that is asked for places, and draws by them.

    Data sets whose examples differ from epoch to epoch have `begin_epoch(number)`.
    """

    def __init__(self, data: Any, seed: int, workers: int = 0):
        self._data, self._seed = NamedSamples(data, workers), seed
        self.table = self._data.table
        self._begin = [each.begin_epoch for each in _nested(data) if hasattr(each, "begin_epoch")]

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, place: Place) -> Any:
        return self.__getitems__([place])[0]

    def __getitems__(self, places: Sequence[Place]) -> list[Any]:
        """Return the examples of a batch, as a DataLoader asks for them."""
        epoch, batch, _, first = places[0]
        for begin in self._begin:
            begin(epoch)
        set_generators(seed_of(self._seed, BATCH, epoch, batch, *([first] if first else [])))
        return self._data.__getitems__([place.row for place in places])


def in_fixed_order(
    loader: DataLoader, seed: int, part: Callable[[int], tuple[int, int]] | None = None
) -> tuple[DataLoader, BatchOrder | None]:
    """Return a loader of the same batches whose order can be told; None where it has none.

    A loader of a stream, or one that does not form batches itself, stays as it is.

    Args:
        part: of each batch that is read here, as `BatchOrder` takes it.
    """
    if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
        return loader, None
    order = BatchOrder(loader.batch_sampler, seed, part)
    placed = like(loader, PlacedExamples(loader.dataset, seed, loader.num_workers), order)
    return placed, order


def odd_rows(batch: Any, count: int) -> list[int]:
    """Return which examples of a batch have inputs or answers that are no finite numbers."""
    parts = [x for x in tree_leaves(batch) if isinstance(x, Tensor) and x.is_floating_point()]
    odd = [~torch.isfinite(x).flatten(1).all(1) for x in parts if x.ndim and len(x) == count]
    return sorted({row for each in odd for row in each.nonzero().flatten().tolist()})


def _nested(data: Any) -> Iterator[Any]:
    """Yield a data set and those that it is made of."""
    yield data
    inner = getattr(data, "dataset", None)
    for each in [*getattr(data, "datasets", []), *([] if inner is None else [inner])]:
        yield from _nested(each)


def _generators(sampler: Any) -> Iterator[torch.Generator]:
    """Yield the generators of a sampler and of the one that it cuts into batches."""
    own = getattr(sampler, "generator", None)
    if isinstance(own, torch.Generator):
        yield own
    inner = getattr(sampler, "sampler", None)
    if inner is not None:
        yield from _generators(inner)
