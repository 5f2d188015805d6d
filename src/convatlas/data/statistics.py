"""Figures of a data set in tables: what `data stats` shows, whatever the data are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

MAX_READ = 1000  # examples of a split, evenly spaced, where each has to be decoded
QUANTILES = {"smallest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "largest": 1.0}


@dataclass(frozen=True)
class Statistics:
    """One table of figures.

    Args:
        title: what it is about.
        heads: of the columns.
        rows: with numbers as they are; the screen rounds them.
        note: a sentence on how they were found, or on what they mean.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the rows by their heads, for JSON."""
        rows = [dict(zip(self.heads, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "note": self.note}


def spread(title: str, values: Mapping[str, ArrayLike], note: str = "") -> Statistics:
    """Return smallest, largest, mean and quantiles of each kind of value; NaN is left out."""
    rows = []
    for name, given in values.items():
        known = np.asarray(given, dtype=np.float64).ravel()
        known = known[~np.isnan(known)]
        if known.size:
            found = np.quantile(known, list(QUANTILES.values()))
            rows.append((name, *found.tolist(), float(known.mean())))
    return Statistics(title, ("", *QUANTILES, "mean"), rows, note)


def class_balance(per_class: Mapping[str, Mapping[str, int]]) -> Statistics | None:
    """Return how often each class is in each split; None without classes.

    Args:
        per_class: counts by split and class.
    """
    splits = [name for name in ("train", "val", "test") if name in per_class]
    labels = list(dict.fromkeys(label for name in splits for label in per_class[name]))
    if not labels:
        return None
    totals = {label: sum(per_class[name].get(label, 0) for name in splits) for label in labels}
    every = max(1, sum(totals.values()))
    rows = [
        (label, *(per_class[name].get(label, 0) for name in splits), totals[label] / every)
        for label in sorted(labels, key=lambda label: -totals[label])
    ]
    most, least = max(totals.values()), min(totals.values())
    note = ""
    if len(labels) > 1:
        note = (
            f"the most frequent one is {most / least:.3g} times as frequent as the rarest"
            if least
            else "the rarest one is in no split"
        )
    return Statistics("classes", ("class", *splits, "share"), rows, note)


def evenly_spaced(total: int, most: int = MAX_READ) -> list[int]:
    """Return up to `most` places from all over a sequence."""
    return list(range(total)) if total <= most else [i * total // most for i in range(most)]
