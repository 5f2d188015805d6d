"""Images and volumes of any size through a network that answers for a window at a time.

Windows overlap. Near an edge that is none of the image the network sees less than it would of the
whole, so those answers have no weight; further in, the weight of one window falls while that of the
next rises, so no seam is left. A network without padding gives there what it would have given for
the whole image. One row of windows along the first axis is all that is held.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from convatlas.errors import UsageError

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Windows:
    """How an image is cut along each of its axes.

    Args:
        length: of a window along each axis, in pixels.
        border: pixels at a cut edge whose answers count for nothing, along each axis.
        fade: pixels after the border along which the weight rises, along each axis.
        multiple: of which every window's beginning is one, along each axis, as the network's
            coarse maps lie on a grid.

    Raises:
        UsageError: windows that do not reach past their borders.
    """

    length: Sequence[int]
    border: Sequence[int]
    fade: Sequence[int]
    multiple: Sequence[int]

    def __post_init__(self) -> None:
        if any(self._step(axis) < 1 for axis in range(len(self.length))):
            raise UsageError(
                f"Windows: a length of {tuple(self.length)} must be above twice border and fade, "
                f"{tuple(self.border)} and {tuple(self.fade)}, by a multiple of the grid at least, "
                f"{tuple(self.multiple)}"
            )

    def spans(self, side: int, axis: int) -> list[tuple[int, int]]:
        """Return begin and end of each window along an axis, in order; they cover the side."""
        if side <= self.length[axis]:
            return [(0, side)]
        begins = list(range(0, side - self.length[axis], self._step(axis)))
        last = side - self.length[axis]
        # Up to the grid: the last window ends with the image, so it may be longer than the others.
        begins.append(last - last % self.multiple[axis])
        begins = sorted(set(begins))
        ends = [begin + self.length[axis] for begin in begins[:-1]]
        return list(zip(begins, [*ends, side], strict=True))

    def weights(self, span: tuple[int, int], side: int, axis: int) -> Tensor:
        """Return the weight of each answer of a window along an axis. Shape: (end - begin,)"""
        begin, end = span
        weights = torch.ones(end - begin)
        rise = (torch.arange(self.fade[axis]) + 1) / (self.fade[axis] + 1)
        ramp = torch.cat([torch.zeros(self.border[axis]), rise])
        if begin > 0:
            weights[: len(ramp)] *= ramp
        if end < side:
            weights[len(weights) - len(ramp) :] *= ramp.flip(0)
        return weights

    def _step(self, axis: int) -> int:
        free = self.length[axis] - 2 * self.border[axis] - self.fade[axis]
        return free - free % self.multiple[axis]


def slide(answer: Answer, item: Tensor, windows: Windows) -> Iterator[Tensor]:
    """Yield the answers for an image along its first axis, piece by piece, in order.

    Args:
        answer: (1, *window, c) -> (1, k, *window), such as probabilities.
        item: the image.

    Shape: item (s1, s2, ..., c) -> pieces (k, t, s2, ...) whose t add up to s1
    """
    sides = item.shape[:-1]
    spans = [windows.spans(side, axis) for axis, side in enumerate(sides)]
    held: Tensor | None = None  # weighted sums of the rows that a later window still adds to
    total: Tensor | None = None
    for row, span in enumerate(spans[0]):
        begin, end = span
        last = row == len(spans[0]) - 1
        sums, weights = _row(answer, item, windows, span, spans[1:])
        if held is not None and total is not None:
            overlap = held.shape[1]
            sums[:, :overlap] += held
            weights[:overlap] += total
        done = end - begin if last else spans[0][row + 1][0] - begin
        yield sums[:, :done] / weights[:done]
        held, total = sums[:, done:].clone(), weights[done:].clone()


def _row(
    answer: Answer,
    item: Tensor,
    windows: Windows,
    first: tuple[int, int],
    others: Sequence[Sequence[tuple[int, int]]],
) -> tuple[Tensor, Tensor]:
    """Sum the weighted answers of the windows that share their place along the first axis."""
    sides = item.shape[:-1]
    shape = (first[1] - first[0], *sides[1:])
    sums: Tensor | None = None
    total = torch.zeros(shape)
    for rest in product(*others):
        window = (first, *rest)
        cut = item[tuple(slice(*span) for span in window)]
        weight = torch.ones(())
        for axis, span in enumerate(window):
            along = windows.weights(span, sides[axis], axis)
            weight = weight[..., None] * along
        answered = answer(cut[None])[0]
        if sums is None:
            sums = torch.zeros(answered.shape[0], *shape)
        place = (slice(None), *(slice(*span) for span in rest))
        sums[(slice(None), *place)] += answered * weight
        total[place] += weight
    assert sums is not None
    return sums, total
