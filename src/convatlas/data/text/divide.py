"""Splits of texts: those that are stated, the rest cut off train, equal texts in one split."""

import hashlib
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from convatlas.data.names import printable_few
from convatlas.data.sources.split_names import SPLITS
from convatlas.data.text.read_examples import Example
from convatlas.errors import DataError

CUT_SHARE, MAX_CUT = 0.1, 2000  # of the examples, for each split that is cut off
MIN_EXAMPLES = 10


def divide(source: str, examples: Sequence[Example], seed: int) -> dict[str, list[Example]]:
    """Return the examples of train, val and test in their order.

    Splits that the data state stay as they are; where val or test is missing, a tenth of train, at
    most 2,000 examples, is drawn for it. Examples of the same first text stay together.

    Args:
        source: the data as messages name them.

    Raises:
        DataError: there are too few, or none that train.
    """
    parts: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for example in examples:
        parts[example.split or "train"].append(example)
    if len(parts["train"]) < MIN_EXAMPLES:
        raise DataError(
            f"{source}: must have {MIN_EXAMPLES} examples or more to train on, got "
            f"{len(parts['train'])}"
        )
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in parts["train"]:
        groups[example.fields[0]].append(example)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    cut: dict[str, str] = {}
    count = max(1, min(MAX_CUT, round(CUT_SHARE * len(examples))))
    for split in ("val", "test"):
        drawn = 0
        while not parts[split] and drawn < count and len(order) > 1:
            text = order.pop()
            cut[text] = split
            drawn += len(groups[text])
    for example in parts["train"]:
        if example.fields[0] in cut:
            parts[cut[example.fields[0]]].append(example)
    parts["train"] = [each for each in parts["train"] if each.fields[0] not in cut]
    if not all(parts.values()):
        raise DataError(f"{source}: must have examples that differ, for train, val and test")
    return parts


def digest(text: str) -> str:
    """Return what a text is known by where it must not be stored."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def examples_digest(examples: Sequence[Example]) -> str:
    """Return what tells whether these are the same examples in the same order."""
    found = hashlib.blake2b(digest_size=16)
    for each in examples:
        found.update("\t".join(each.fields).encode() + b"\n")
    return found.hexdigest()


def shared_texts(parts: Mapping[str, Sequence[Example]]) -> list[str]:
    """Say which first texts are in two splits; nothing where none is."""
    split_of: dict[str, tuple[str, str]] = {}
    found = []
    for split, examples in parts.items():
        for example in examples:
            place, other = split_of.setdefault(example.fields[0], (example.place, split))
            if other != split:
                found.append(f"{place} ({other}) and {example.place} ({split})")
    if not found:
        return []
    times = "once" if len(found) == 1 else f"{len(found):,} times"
    return [
        f"the same text in two splits, {times}, so the test figure will be too high: "
        f"{printable_few(found)}"
    ]
