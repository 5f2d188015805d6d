"""Names of the examples of a batch, for messages."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import ConcatDataset, Subset

from convatlas.text import printable_few

MAX_NAMED = 8  # examples of a batch in a message


def names_of(data: Any, indices: Sequence[int]) -> str:
    """Return the files of examples in a few words; their numbers where they have no names."""
    names = [_name(data, index) for index in indices]
    if None in names or not names:
        return "examples " + printable_few(indices, MAX_NAMED)
    return printable_few(names, MAX_NAMED)


def _name(data: Any, index: int) -> str | None:
    if isinstance(data, Subset):
        return _name(data.dataset, data.indices[index])
    if isinstance(data, ConcatDataset):
        part = next(n for n, end in enumerate(data.cumulative_sizes) if index < end)
        before = data.cumulative_sizes[part - 1] if part else 0
        return _name(data.datasets[part], index - before)
    for holder in (data, getattr(data, "split", None)):
        files = getattr(holder, "files", None)
        if isinstance(files, list) and len(files) == len(data):
            return str(files[index])
    return None
