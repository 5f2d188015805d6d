"""Which fold each example belongs to, where every one is judged by a network that did not learn it.

Source: Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model
    Selection", IJCAI 1995 (stratified folds).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

import torch


def fold_numbers(
    labels: Sequence[int], groups: Sequence[Hashable], count: int, seed: int
) -> list[int]:
    """Return the fold of each example, from 0 to `count` - 1.

    Each class is spread evenly over the folds; examples of one group are in one fold.

    Args:
        labels: of the examples.
        groups: examples of one group have equal entries, such as copies of one picture.
        seed: of the order within each class.
    """
    members: dict[Hashable, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    by_class: dict[int, list[list[int]]] = {}
    for rows in members.values():
        by_class.setdefault(labels[rows[0]], []).append(rows)
    random = torch.Generator().manual_seed(seed)
    numbers, turn = [0] * len(labels), 0
    for label in sorted(by_class):
        of_class = by_class[label]
        for place in torch.randperm(len(of_class), generator=random).tolist():
            for row in of_class[place]:
                numbers[row] = turn % count
            turn += 1
    return numbers


class _Labelled(Protocol):
    """A split of labelled files."""

    @property
    def files(self) -> Sequence[str]: ...

    @property
    def labels(self) -> Sequence[int]: ...


def split_folds(
    splits: Mapping[str, _Labelled],
    groups: Mapping[str, Hashable],
    count: int,
    seed: int,
    stated: Mapping[str, str] | None = None,
) -> dict[str, list[int]]:
    """Return the fold of each example of `train` and of `val`, from 0 to at most `count` - 1.

    Args:
        groups: by file, what must be in one fold with it; a file that is not there is alone.
        stated: by file, its fold as the data have it. They are kept whole: where there are more of
            them, several are one; where there are fewer, so are the folds.
    """
    names = ("train", "val")
    files = [file for name in names for file in splits[name].files]
    labels = [label for name in names for label in splits[name].labels]
    if stated and all(file in stated for file in files):
        known = sorted({stated[file] for file in files})
        numbers = [known.index(stated[file]) % count for file in files]
    else:
        numbers = fold_numbers(labels, [groups.get(file) or file for file in files], count, seed)
    first = len(splits["train"].files)
    return {"train": numbers[:first], "val": numbers[first:]}
