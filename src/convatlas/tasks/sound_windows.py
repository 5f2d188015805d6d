"""The features of a split's sounds as a data set: kept, or computed when asked for."""

import copy
from collections.abc import Callable, Sequence
from contextlib import closing

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.threads import in_threads

MAX_MEASURED = 2000  # windows that mean and deviation are taken from
MAX_MEASURED_LAZY = 256  # sounds, where features are not kept


class Windows(Dataset[tuple[Tensor, int]]):
    """The features of a split's windows, as a dataset.

    In training an item is a random window of a sound, with its label; else each window is one,
    with the place of its sound.

    Args:
        features: of all windows. Shape: (windows, c, ...)
        first: the first window of each sound, and behind the last one their number.
    """

    def __init__(self, features: Tensor, first: Sequence[int], labels: Tensor, *, training: bool):
        self.features, self.first, self.labels = features, list(first), labels
        self.training = training
        counts = torch.tensor(self.first).diff()
        self.sounds = torch.arange(len(counts)).repeat_interleave(counts)

    def __len__(self) -> int:
        return len(self.labels) if self.training else len(self.features)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not self.training:
            return self.features[index], int(self.sounds[index])
        start, end = self.first[index], self.first[index + 1]
        row = start if end == start + 1 else int(torch.randint(start, end, ()))
        return self.features[row], int(self.labels[index])

    def sample(self) -> Tensor:
        """Return evenly spaced windows, from which mean and deviation are measured."""
        return self.features[spaced(len(self.features), MAX_MEASURED)]

    def middle(self, places: Sequence[int]) -> Tensor:
        """Return the middle window of each sound at these places. Shape: (places, c, ...)"""
        return self.features[[(self.first[i] + self.first[i + 1] - 1) // 2 for i in places]]

    def judged(self, count: int | None, seed: int) -> "Windows":
        """Return the windows of `count` sounds, the same each time."""
        return self if count is None else self.chosen(draw(len(self.labels), count, seed))

    def chosen(self, places: Sequence[int]) -> "Windows":
        """Return the windows of the sounds at these places, in this order."""
        parts = [self.features[self.first[i] : self.first[i + 1]] for i in places]
        return joined(parts, self.labels[list(places)], training=self.training)


class LazyWindows(Windows):
    """The same where memory has no room for them: features are computed when asked for.

    Validation hears the middle window of each sound only.

    Args:
        cut: gives the windows of a sound by its place; safe in threads. Shape: (windows, samples)
        front: computes features of windows.
    """

    def __init__(
        self,
        cut: Callable[[int], Tensor],
        front: Callable[[Tensor], Tensor],
        labels: Tensor,
        *,
        training: bool,
    ):
        self._cut, self._front, self._places = cut, front, list(range(len(labels)))
        super().__init__(torch.zeros(0), range(len(labels) + 1), labels, training=training)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Return a batch, as a DataLoader asks for it."""
        # Drawn before the threads, which come in any order.
        draws = torch.randint(0, 1 << 30, (len(indices),)).tolist() if self.training else []
        asked = list(zip(indices, draws or [None] * len(indices), strict=True))
        with closing(in_threads(self._item, asked, name=lambda one: f"sound {one[0]}")) as items:
            return list(items)

    def _item(self, asked: tuple[int, int | None]) -> tuple[Tensor, int]:
        index, draw = asked
        number = int(self.labels[index]) if self.training else index
        return self._heard(self._places[index], draw), number

    @torch.no_grad()
    def _heard(self, place: int, draw: int | None = None) -> Tensor:
        """Compute the window that a random number draws; the middle one without."""
        windows = self._cut(place)
        row = (len(windows) - 1) // 2 if draw is None else draw % len(windows)
        return self._front(windows[row : row + 1])[0].half()

    def sample(self) -> Tensor:
        measured = spaced(len(self.labels), MAX_MEASURED_LAZY).tolist()
        return self.middle(measured)

    def middle(self, places: Sequence[int]) -> Tensor:
        return torch.stack([self._heard(self._places[i]) for i in places])

    def chosen(self, places: Sequence[int]) -> "LazyWindows":
        part = copy.copy(self)
        part._places = [self._places[i] for i in places]
        part.labels = self.labels[list(places)]
        return part


def joined(parts: Sequence[Tensor], labels: Tensor, *, training: bool) -> Windows:
    """Put the windows of sounds together. Shape: each (windows, c, ...)"""
    first = [0, *torch.tensor([len(part) for part in parts]).cumsum(0).tolist()]
    return Windows(torch.cat(list(parts)), first, labels, training=training)


def spaced(total: int, most: int) -> Tensor:
    """Return at most `most` places of `total`, evenly spaced."""
    return torch.arange(min(total, most)) * total // min(total, most)


def draw(total: int, count: int | None, seed: int) -> list[int]:
    """Draw `count` places of `total`, the same each time; all in order where that is not less."""
    if count is None or count >= total:
        return list(range(total))
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[:count].tolist()
