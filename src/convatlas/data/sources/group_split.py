"""Cutting files into train, val and test by groups: what is of one source stays together."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from convatlas.data.names import printable
from convatlas.errors import DataError


def cut_groups(
    source: str,
    files: Mapping[str, Sequence[str]],
    group_of: Mapping[str, str],
    shares: Mapping[str, float],
    *,
    seed: int,
) -> dict[str, str]:
    """Split the files so that no group is in two splits; the shares are met as far as that allows.

    Groups are drawn in a random order. One is taken for a split while it brings more files that
    the split still lacks than files that it has enough of.

    Args:
        source: the data set as messages name it.
        files: files per class.
        group_of: the source of each file, such as its speaker.
        shares: split and share of each class, such as `{"test": 0.15, "val": 0.15}`.

    Raises:
        DataError: a class has too few groups to stand in every split.
    """
    contents: dict[str, Counter[str]] = {}
    for label, members in files.items():
        for file in members:
            contents.setdefault(group_of[file], Counter())[label] += 1
    left = sorted(contents)
    random.Random(f"{seed}").shuffle(left)
    taken: dict[str, str] = {}
    for split, share in shares.items():
        need = {label: max(1, round(share * len(members))) for label, members in files.items()}
        for greedy in (False, True):  # then, whatever a class lacks altogether
            for group in [each for each in left if each not in taken]:
                gain = sum(min(count, need[label]) for label, count in contents[group].items())
                missing = any(
                    need[label] == _whole(share, files[label]) for label in contents[group]
                )
                if (greedy and missing) or (not greedy and 2 * gain > contents[group].total()):
                    taken[group] = split
                    for label, count in contents[group].items():
                        need[label] = max(0, need[label] - count)
    split_of = {
        file: taken.get(group_of[file], "train") for members in files.values() for file in members
    }
    _check(source, files, group_of, split_of, [*shares, "train"])
    return split_of


def _whole(share: float, members: Sequence[str]) -> int:
    """The need of a class of which a split has nothing yet."""
    return max(1, round(share * len(members)))


def _check(
    source: str,
    files: Mapping[str, Sequence[str]],
    group_of: Mapping[str, str],
    split_of: Mapping[str, str],
    splits: Sequence[str],
) -> None:
    for label, members in files.items():
        found = {split_of[file] for file in members}
        gone = [split for split in splits if split not in found]
        if gone:
            count = len({group_of[file] for file in members})
            raise DataError(
                f"{source}: class {printable(label)} cannot be in every split, because it comes "
                f"from {count} sources that stay together; none is left for {gone[0]}"
            )
