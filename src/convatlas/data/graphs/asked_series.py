"""The recent readings that a forecast is asked for: the last steps of files, or of arrays."""

from collections.abc import Iterable, Iterator
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
from convatlas.text import printable


@dataclass(frozen=True)
class AskedSeries:
    """The last steps of one file or array.

    Args:
        name: the file, or `readings 3` for the third array.
        item: as the predictor takes it; None where it cannot be read.
        steps: what the steps that follow are called.
    """

    name: str
    item: Tensor | tuple[Tensor, ...] | None
    steps: tuple[str, ...] = ()
    error: str | None = None


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
            yield AskedSeries(name, item, names)
        except DataError as error:
            yield AskedSeries(name, None, error=str(error))


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
