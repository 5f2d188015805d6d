"""Which fold each example belongs to, where every one is judged by a network that did not learn it.

Source: Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy Estimation and Model
    Selection", IJCAI 1995 (stratified folds).
"""

from collections.abc import Hashable, Sequence

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
