"""Files with the same bytes: found by size first, then by hash."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from convatlas.data.names import file_path
from convatlas.data.scan import FileFacts


def find_twins(root: Path, facts: Iterable[FileFacts]) -> list[list[str]]:
    """Groups of two or more identical files; only files of equal size are read."""
    by_size: dict[int, list[str]] = defaultdict(list)
    for fact in facts:
        by_size[fact.bytes].append(fact.file)
    by_hash: dict[tuple[int, str], list[str]] = defaultdict(list)
    for size, files in by_size.items():
        for file in files if len(files) > 1 else ():
            with file_path(root, file).open("rb") as opened:
                by_hash[size, hashlib.file_digest(opened, "blake2b").hexdigest()].append(file)
    return [files for files in by_hash.values() if len(files) > 1]


def pairs_across(
    groups: Sequence[Sequence[str]], kind_of: Mapping[str, str]
) -> list[tuple[str, str, str, str]]:
    """File, kind, file, kind for identical files of two kinds (splits, or classes).

    Every file is named beside the first one of its group that is of another kind.
    """
    pairs: list[tuple[str, str, str, str]] = []
    for group in groups:
        first = group[0]
        pairs += [
            (first, kind_of[first], file, kind_of[file])
            for file in group[1:]
            if kind_of[file] != kind_of[first]
        ]
    return pairs
