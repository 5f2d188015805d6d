"""A batch cut into smaller ones, whatever a task made it of."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves


class CannotSplit(ValueError):
    """A batch of which it is not clear which part belongs to which example."""


def examples_in(batch: Any) -> int:
    """Return how many examples a batch has: the length of its first tensor.

    Raises:
        CannotSplit: there is no tensor in it with an axis for them.
    """
    for leaf in tree_leaves(batch):
        if isinstance(leaf, Tensor) and leaf.ndim:
            return len(leaf)
    raise CannotSplit("it has no tensor with an axis for its examples")


def split_batch(batch: Any, parts: int, count: int) -> list[tuple[Any, float]]:
    """Return smaller batches as alike in size as can be, each with its share of the examples.

    Tensors are cut along their first axis, and lists that have one member per example between
    their members; tuples, lists and dictionaries of these keep their form. Nothing is copied.

    Args:
        parts: from 1 to `count`.
        count: examples in the batch.

    Raises:
        CannotSplit: something in it has no place for each example.
    """
    ends = [count * number // parts for number in range(parts + 1)]
    return [
        (_rows(batch, first, end, count), (end - first) / count) for first, end in pairwise(ends)
    ]


def _rows(given: Any, first: int, end: int, count: int) -> Any:
    """Return the part of something that belongs to some of the examples."""
    if isinstance(given, Tensor) and given.ndim and len(given) == count:
        return given[first:end]
    if isinstance(given, Mapping):
        return {key: _rows(value, first, end, count) for key, value in given.items()}
    if isinstance(given, list | tuple):
        try:
            inside = [_rows(each, first, end, count) for each in given]
        except CannotSplit:
            if len(given) != count:
                raise
            return given[first:end]
        named = hasattr(given, "_fields")
        return type(given)(*inside) if named else type(given)(inside)
    what = f"a tensor of shape {tuple(given.shape)}" if isinstance(given, Tensor) else repr(given)
    raise CannotSplit(f"{what:.100} has no place for each of its {count} examples")
