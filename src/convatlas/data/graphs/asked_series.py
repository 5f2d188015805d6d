"""The recent readings that a forecast is asked for: the last steps of files, or of arrays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convatlas.data.graphs.open_series import series_file, suited
from convatlas.data.graphs.read_series import ReadSeries, read_series
from convatlas.data.graphs.series_data import SeriesFacts, day_fraction
from convatlas.errors import DataError
from convatlas.text import printable, printable_few


@dataclass(frozen=True)
class AskedSeries:
    """The last steps of one file or array.

    Args:
        name: the file, or `readings 3` for the third array.
        item: as the predictor takes it; None where it cannot be read.
        steps: what the steps that follow are called.
        silent: sensors without any reading in these steps.
    """

    name: str
    item: Tensor | tuple[Tensor, ...] | None
    steps: tuple[str, ...] = ()
    error: str | None = None
    silent: tuple[str, ...] = ()


def asked_series(
    asked: Any, facts: SeriesFacts, *, steps: int | None = None
) -> Iterator[AskedSeries]:
    """Yield the last steps of each file or array, in order; what cannot be read gets an error.

    Args:
        asked: a file, an array (t, sensors), or several.
        steps: how many follow; those that the network answers at once where not given.
    """
    single = isinstance(asked, str | Path | np.ndarray | Tensor)
    several: Iterable[Any] = [asked] if single else asked
    for number, each in enumerate(several, start=1):
        named = isinstance(each, str | Path)
        name = str(each) if named else f"readings {number}"
        try:
            table = _file(Path(each), facts) if named else _array(each, facts)
            item, names = _last_steps(table, facts, Path(name), steps or facts.horizon)
            past = item[0] if isinstance(item, tuple) else item
            yield AskedSeries(name, item, names, silent=_silent(past, facts.sensors))
        except DataError as error:
            yield AskedSeries(name, None, error=str(error))


def silent_words(asked: AskedSeries) -> str:
    """Return a sentence where the forecast of some sensors begins at their mean; else nothing."""
    if not asked.silent:
        return ""
    return (
        f"{printable(asked.name)}: no reading in the last steps of {printable_few(asked.silent)}; "
        "their forecasts begin at the mean of the training part"
    )


def _silent(past: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    """Return the sensors without any reading. Shape: past (history, sensors)"""
    empty = past.isnan().all(0).tolist()
    return tuple(name for name, nothing in zip(names, empty, strict=True) if nothing)


def _file(path: Path, facts: SeriesFacts) -> ReadSeries:
    file = series_file(path)
    if file is None:
        raise DataError(f"{printable(path)}: must be an npz, CSV or parquet file of readings")
    return read_series(file, facts.value)


def _array(values: Any, facts: SeriesFacts) -> ReadSeries:
    readings = np.asarray(values, dtype=np.float32)
    if readings.ndim != 2 or readings.shape[1] != len(facts.sensors):
        raise DataError(
            f"readings must be (steps, {len(facts.sensors)}), a column a sensor, got "
            f"{readings.shape}"
        )
    return ReadSeries(readings, facts.sensors)


def _last_steps(
    table: ReadSeries, facts: SeriesFacts, path: Path, count: int
) -> tuple[Tensor | tuple[Tensor, ...], tuple[str, ...]]:
    readings, times = suited(table, facts, path)
    if len(readings) < facts.history:
        raise DataError(
            f"{printable(path)}: must have the last {facts.history} steps or more, got "
            f"{len(readings)}"
        )
    past = torch.from_numpy(readings[-facts.history :])
    if past.isnan().all():
        raise DataError(f"{printable(path)}: all of the last {facts.history} steps are missing")
    if times is None or facts.step_minutes is None:
        return past, tuple(f"+{step}" for step in range(1, count + 1))
    last: datetime = times[-1].astype("datetime64[s]").item()
    steps = tuple(
        (last + timedelta(minutes=facts.step_minutes * step)).isoformat(sep=" ")
        for step in range(1, count + 1)
    )
    if not facts.clock:
        return past, steps
    return (past, torch.from_numpy(day_fraction(times[-facts.history :]))), steps
