"""Read a table of readings, a row a step and a column a sensor, from npz, CSV or parquet."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convatlas.data.packages import needed
from convatlas.errors import DataError
from convatlas.text import printable, printable_few

SUFFIXES = (".npz", ".csv", ".parquet")
TIME_NAMES = ("time", "timestamp", "date", "datetime", "")
NAME_KEYS = ("sensor_id", "sensors", "sensor", "names", "columns")
READING_KEYS = ("readings", "values", "speed", "data", "series", "flow", "x")
GRAPH_KEYS = ("adjacency", "adj", "graph", "weights")
PLACE_KEYS = ("latlon", "coordinates", "places")
MISSING_WORDS = ("", "nan", "na", "null", "none")


@dataclass(frozen=True, eq=False)
class ReadSeries:
    """A table as it lies in its file.

    Args:
        readings: NaN where there is none. Shape: float32 (t, sensors)
        sensors: their names.
        times: of the rows; empty where the file has none.
        step_minutes: as the file says it, where it has no times.
        extra: other arrays of an npz file: adjacency, places.
    """

    readings: NDArray[np.float32]
    sensors: Sequence[str]
    times: Sequence[datetime] = ()
    step_minutes: float | None = None
    extra: dict[str, NDArray] = field(default_factory=dict)


def read_series(path: Path, key: str | None = None) -> ReadSeries:
    """Read a table.

    Args:
        key: the array of an npz file, where several could be meant.

    Raises:
        DataError: it cannot be read, or holds no table of numbers.
    """
    place = printable(path)
    try:
        kind = _kind(path)
        if kind == ".npz":
            found = _read_npz(path, key)
        elif kind == ".csv":
            found = _read_csv(path)
        else:
            found = _read_parquet(path)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, EOFError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{place}: no readings can be read ({printable(reason)})") from None
    except Exception as error:  # zipfile and parquet readers have errors of their own
        raise DataError(f"{place}: no readings can be read ({type(error).__name__})") from None
    if len(set(found.sensors)) < len(found.sensors):
        twice = [name for name in found.sensors if list(found.sensors).count(name) > 1]
        raise DataError(
            f"{place}: sensors must have different names, got {printable(twice[0])} twice"
        )
    if np.isinf(found.readings).any():
        column = int(np.argwhere(np.isinf(found.readings))[0][1])
        raise DataError(
            f"{place}: sensor {printable(found.sensors[column])} has an infinite reading"
        )
    return found


def _kind(path: Path) -> str:
    """Return the kind of a file by its suffix, or by its first bytes where that says none."""
    if path.suffix.lower() in SUFFIXES:
        return path.suffix.lower()
    with path.open("rb") as file:
        first = file.read(4)
    return {b"PK\x03\x04": ".npz", b"PAR1": ".parquet"}.get(first, ".csv")


def _read_npz(path: Path, key: str | None) -> ReadSeries:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = readings_key(arrays, key, printable(path))
    readings = arrays.pop(name)
    if readings.ndim == 3 and readings.shape[2] == 1:
        readings = readings[:, :, 0]
    if readings.ndim != 2 or readings.dtype.kind not in "fiu":
        raise DataError(
            f"{printable(path)}: {printable(name)} must be numbers (steps, sensors), got "
            f"{readings.dtype} {readings.shape}"
        )
    names = next((arrays[k] for k in NAME_KEYS if k in arrays), np.arange(readings.shape[1]))
    if len(names) != readings.shape[1]:
        raise DataError(
            f"{printable(path)}: {len(names)} names of sensors for {readings.shape[1]} columns"
        )
    times, step = _npz_times(arrays, len(readings), printable(path))
    extra = {k: arrays[k] for k in (*GRAPH_KEYS, *PLACE_KEYS) if k in arrays}
    return ReadSeries(
        readings.astype(np.float32), [str(each) for each in names], times, step, extra
    )


def readings_key(arrays: dict[str, Any], key: str | None, place: str) -> str:
    """Return the name of the array that holds the readings.

    Raises:
        DataError: there is none of that name, or several could be meant.
    """
    if key is not None:
        if key not in arrays:
            raise DataError(f"{place}: has no array {printable(key)}; it has {', '.join(arrays)}")
        return key
    known = [name for name in READING_KEYS if name in arrays]
    if known:
        return known[0]
    tables = [
        name
        for name, array in arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiu" and name not in (*GRAPH_KEYS, *PLACE_KEYS)
    ]
    if len(tables) != 1:
        raise DataError(
            f"{place}: --set value=NAME must say which array holds the readings, got "
            f"{printable_few(arrays) if arrays else 'none'}"
        )
    return tables[0]


def _npz_times(
    arrays: dict[str, NDArray], steps: int, place: str
) -> tuple[list[datetime], float | None]:
    found = next((arrays[k] for k in ("time", "times", "timestamp") if k in arrays), None)
    if found is not None:
        if len(found) != steps:
            raise DataError(f"{place}: {len(found)} time stamps for {steps} rows")
        return [parse_time(str(each), place, row) for row, each in enumerate(found)], None
    step = float(arrays["step_minutes"]) if "step_minutes" in arrays else None
    if "start" not in arrays or step is None:
        return [], step
    start = np.datetime64(parse_time(str(arrays["start"]), place, 0), "us")
    moments = start + (np.arange(steps) * round(step * 60e6)).astype("timedelta64[us]")
    return moments.tolist(), step


def _read_csv(path: Path) -> ReadSeries:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 2:
        raise DataError(f"{printable(path)}: must have a line of names and lines of readings")
    return _from_rows(rows[0], rows[1:], printable(path))


def _from_rows(names: list[str], rows: list[list[str]], place: str) -> ReadSeries:
    timed = names[0].strip().lower() in TIME_NAMES
    times = [parse_time(row[0], place, number) for number, row in enumerate(rows)] if timed else []
    names = [name.strip() for name in names]
    first = int(timed)
    if len(names) == first:
        raise DataError(f"{place}: must have a column for each sensor, got none")
    readings = np.empty((len(rows), len(names) - first), np.float32)
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise DataError(
                f"{place}: line {number + 2} must have {len(names)} cells, got {len(row)}"
            )
        for column, cell in enumerate(row[first:]):
            try:
                word = cell.strip()
                missing = word.lower() in MISSING_WORDS
                readings[number, column] = np.nan if missing else float(word)
            except ValueError:
                raise DataError(
                    f"{place}: line {number + 2}, {printable(names[first + column])}: must be a "
                    f"number or empty, got {printable(cell)}"
                ) from None
    return ReadSeries(readings, names[first:], times)


def _read_parquet(path: Path) -> ReadSeries:
    parquet = needed("pyarrow.parquet", "parquet files", "pyarrow", "parquet")
    table = parquet.read_table(path)
    names = [str(name) for name in table.column_names]
    times: list[datetime] = []
    columns = []
    for name, column in zip(names, table.columns, strict=True):
        if not times and name.strip().lower() in (*TIME_NAMES, "__index_level_0__"):
            cells = column.to_pylist()
            times = [
                c if isinstance(c, datetime) else parse_time(str(c), printable(path), n)
                for n, c in enumerate(cells)
            ]
        else:
            array = np.array([np.nan if c is None else c for c in column.to_pylist()], np.float32)
            columns.append((name, array))
    if not columns:
        raise DataError(f"{printable(path)}: must have a column for each sensor, got none")
    readings = np.stack([array for _, array in columns], axis=1)
    return ReadSeries(readings, [name for name, _ in columns], times)


def parse_time(text: str, place: str, row: int) -> datetime:
    """Return a moment written as ISO 8601 has it, without its zone.

    Raises:
        DataError: names the row.
    """
    try:
        return datetime.fromisoformat(text.strip()[:26]).replace(tzinfo=None)
    except ValueError:
        raise DataError(
            f"{place}: the time of row {row + 1} must be as 2012-03-01 00:05, got {printable(text)}"
        ) from None
