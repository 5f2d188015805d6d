"""Time stamps with one step between them; what is missing between them becomes missing readings."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from convatlas.errors import DataError

MAX_ADDED = 1.0  # rows added for gaps, as a fraction of those that are there


def regular_steps(
    readings: NDArray[np.float32], times: Sequence[datetime], place: str
) -> tuple[NDArray[np.float32], NDArray[np.datetime64], float, int]:
    """Return readings with a row for each step, their times, the step in minutes, and rows added.

    Raises:
        DataError: times that go back, stand twice, or do not lie on one grid.
    """
    moments = np.array(times, dtype="datetime64[s]")
    gaps = np.diff(moments).astype(np.int64)
    if len(gaps) == 0:
        raise DataError(f"{place}: must have two rows or more")
    wrong = np.flatnonzero(gaps <= 0)
    if len(wrong):
        row = int(wrong[0])
        word = "stands twice" if gaps[row] == 0 else f"comes after {moments[row]}"
        raise DataError(
            f"{place}: times must go up from row to row, but {moments[row + 1]} (row {row + 2}) "
            f"{word}; sort the rows"
        )
    values, counts = np.unique(gaps, return_counts=True)
    step = int(values[counts.argmax()])
    uneven = np.flatnonzero(gaps % step)
    if len(uneven):
        row = int(uneven[0])
        raise DataError(
            f"{place}: times must lie {step / 60:g} minutes apart, but between {moments[row]} and "
            f"{moments[row + 1]} (row {row + 2}) lie {gaps[row] / 60:g}; bring them to one step"
        )
    total = int(gaps.sum() // step) + 1
    added = total - len(moments)
    if added > MAX_ADDED * len(moments):
        raise DataError(
            f"{place}: of {total:,} steps of {step / 60:g} minutes only {len(moments):,} have a "
            "row; give a stretch with fewer gaps"
        )
    rows = np.concatenate([[0], np.cumsum(gaps // step)])
    full = np.full((total, readings.shape[1]), np.nan, np.float32)
    full[rows] = readings
    grid = moments[0] + np.arange(total) * np.timedelta64(step, "s")
    return full, grid, step / 60, added
