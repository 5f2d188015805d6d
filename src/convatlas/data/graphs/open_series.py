"""Open readings over time: read the table and its graph, look for what is wrong, split by time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Limits

from convatlas.data.graphs.read_graph import read_graph
from convatlas.data.graphs.read_series import (
    GRAPH_KEYS,
    PLACE_KEYS,
    SUFFIXES,
    ReadSeries,
    read_series,
)
from convatlas.data.graphs.regular_steps import regular_steps
from convatlas.data.graphs.sensor_graph import SensorGraph, disconnected_words, graph_of_matrix
from convatlas.data.graphs.series_data import (
    SeriesData,
    SeriesFacts,
    WindowSplit,
    average_day,
    digests_of_rows,
    named_few,
)
from convatlas.data.names import stored_name, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import checked_split
from convatlas.errors import DataError
from convatlas.text import printable

LAYOUTS = (
    "an npz, CSV or parquet file with a row a time step and a column a sensor",
    "a folder with series.npz (.csv, .parquet) and, where there is a graph, graph.npz or graph.csv",
)
TRAIN, VALIDATE = 0.7, 0.1  # fractions of the rows, in the order of time; the rest is the test
SERIES, GRAPH = "series", "graph"  # names of the files of a folder
KIND = "sensors"


def series_file(source: Path) -> Path | None:
    """Return the file of readings that a source is or holds."""
    if source.is_dir():
        found = [source / f"{SERIES}{suffix}" for suffix in SUFFIXES]
        return next((path for path in found if path.is_file()), None)
    return source if source.suffix.lower() in SUFFIXES else None


def holds_series(source: Path) -> bool:
    """Return whether the data look like a table of readings."""
    path = series_file(source)
    if path is None or not path.is_file():
        return False
    if source.is_dir() or path.suffix.lower() == ".parquet":
        return True
    try:
        if path.suffix.lower() == ".npz":
            read_series(path)
            return True
        with path.open(encoding="utf-8-sig") as file:
            head = [file.readline() for _ in range(3)]
        rows = [line.strip().split(",") for line in head if line.strip()]
        return len(rows) == 3 and all(_is_reading(row) for row in rows[1:])
    except (DataError, OSError, UnicodeDecodeError):
        return False


def _is_reading(row: Sequence[str]) -> bool:
    """Return whether all cells but the first are numbers or empty, and the first no file."""
    cells = [cell.strip().lower() for cell in row]
    numbers = [c in ("", "nan") or c.replace(".", "", 1).lstrip("-").isdigit() for c in cells]
    timed = bool(cells[0]) and cells[0][:4].isdigit() and ("-" in cells[0] or ":" in cells[0])
    return (numbers[0] or timed) and len(cells) >= 1 + timed and all(numbers[1:])


def open_series(source: str | Path, *, seed: int, options: Mapping[str, Any]) -> SeriesData:
    """Open readings for training, split by time: 70 % to train, 10 % to validate, the rest to test.

    Windows lie within one part with the steps that they forecast; their history may reach back
    into the part before, as it will when the network is used.

    Args:
        options: of the task: `history`, `horizon`, `zeros_missing`, `unit`, `value`, `graph`,
            `symmetrise`, `step_minutes`.

    Raises:
        DataError: says what is wrong and where.
    """
    table, path = _table(Path(source), options.get("value"))
    facts, readings, times, notes = _prepared(table, path, options)
    rows = len(readings)
    least = facts.history + facts.horizon
    bounds = (round(TRAIN * rows), round((TRAIN + VALIDATE) * rows))
    parts = (bounds[0] - facts.history, bounds[1] - bounds[0], rows - bounds[1])
    if min(parts) < facts.horizon:
        raise DataError(
            f"{printable(path)}: {rows:,} steps are too few for windows of {facts.history} and "
            f"{facts.horizon} steps; give more, or smaller --set history= and --set horizon="
        )
    train = readings[: bounds[0]]
    known = ~np.isnan(train)
    _check_sensors(known, facts.sensors, path)
    facts = facts.model_copy(update={"gaps": bool(not known.all())})
    graph = _graph(table, Path(source), options, facts.sensors, path)
    if graph is not None and (words := disconnected_words(graph, facts.sensors)):
        notes.append(words)
    constant = np.nanmax(train, 0) == np.nanmin(train, 0)
    if bool(np.any(constant)):
        notes.append(f"sensors that never change: {named_few(facts.sensors, np.asarray(constant))}")
    missing = int((~known).sum())
    if missing:
        notes.append(f"{missing:,} of {known.size:,} training readings are missing")
    later = {"validation": readings[bounds[0] : bounds[1]], "test": readings[bounds[1] :]}
    notes += [words for part in later if (words := _silent(later[part], facts.sensors, part))]
    average = average_day(train, None if times is None else times[: bounds[0]], facts.step_minutes)
    edges = (facts.history, bounds[0], bounds[1], rows)
    splits = {
        name: WindowSplit(
            readings,
            times,
            range(first - facts.history, end - least + 1),
            facts,
            average,
        )
        for name, first, end in zip(("train", "val", "test"), edges, edges[1:], strict=False)
    }
    return SeriesData(
        name=Path(source).stem if not Path(source).is_dir() else Path(source).name,
        source=stored_name(Path(source).resolve()),
        seed=seed,
        splits=splits,
        scan=ScanReport(
            total=len(facts.sensors), readable=len(facts.sensors), answers=notes, kind=KIND
        ),
        facts_=facts,
        bounds=bounds,
        graph=graph,
        places=_places(table, len(facts.sensors)),
        options=dict(options),
        row_digests=digests_of_rows(readings, facts.history),
    )


def open_series_test(source: str | Path, facts: SeriesFacts) -> SeriesData:
    """Open readings of the sensors that a run knows as one split, `test`.

    Raises:
        DataError: sensors are missing, or the steps are others.
    """
    table, path = _table(Path(source), facts.value)
    readings, times = suited(table, facts, path)
    windows = len(readings) - facts.history - facts.horizon + 1
    if windows < 1:
        raise DataError(
            f"{printable(path)}: must have {facts.history + facts.horizon} steps or more, got "
            f"{len(readings)}"
        )
    split = WindowSplit(readings, times, range(windows), facts)
    silent = _silent(readings, facts.sensors, "test")
    return SeriesData(
        name=path.stem,
        source=stored_name(Path(source).resolve()),
        seed=0,
        splits={"test": split},
        scan=ScanReport(
            total=len(facts.sensors),
            readable=len(facts.sensors),
            answers=[silent] * bool(silent),
            kind=KIND,
        ),
        facts_=facts,
        row_digests=digests_of_rows(readings, facts.history),
    )


class StoredSeries(BaseModel):
    """The stored split; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["series"]
    source: str
    seed: int
    options: dict[str, Any]
    bounds: tuple[int, int]
    splits: dict[str, dict[str, list[str]]] = Limits(min_length=3)


def reopen_series(stored: Path, source: str | Path | None) -> SeriesData:
    """Open the splits that `SeriesData.save` wrote.

    Args:
        source: where the data lie now, if they moved.

    Raises:
        DataError: the file is damaged, or the data are gone or others.
    """
    known, scan = checked_split(stored, StoredSeries, lambda _: "")
    place = Path(true_name(known.source) if source is None else source)
    data = open_series(place, seed=known.seed, options=known.options)
    first = data.facts_.history
    learnt = [each for part in ("train", "val", "test") for each in known.splits[part]["digests"]]
    if list(data.row_digests[first:]) != learnt or data.bounds != tuple(known.bounds):
        raise DataError(f"{printable(place)}: its readings are others than when the run was made")
    return replace(data, scan=scan)


def suited(
    table: ReadSeries, facts: SeriesFacts, path: Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the readings of a run's sensors in their order, and their times.

    Shape: float32 (t, sensors), (t,)

    Raises:
        DataError: sensors are missing, times are missing, or the steps are others.
    """
    place = printable(path)
    where = {name: number for number, name in enumerate(table.sensors)}
    missing = np.array([name not in where for name in facts.sensors])
    if missing.any():
        raise DataError(
            f"{place}: must have the sensors of the run, lacks {named_few(facts.sensors, missing)}"
        )
    readings = table.readings[:, [where[name] for name in facts.sensors]]
    times = None
    if table.times:
        readings, times, step, _ = regular_steps(readings, table.times, place)
        if facts.step_minutes is not None and abs(step - facts.step_minutes) > 1e-6:
            raise DataError(
                f"{place}: steps must be {facts.step_minutes:g} minutes as in the run, got {step:g}"
            )
    elif facts.clock:
        raise DataError(f"{place}: must have times, for the run was trained with the time of day")
    if facts.zeros_missing:
        readings = np.where(readings == 0, np.float32("nan"), readings)
    return np.ascontiguousarray(readings), times


def _table(source: Path, key: str | None) -> tuple[ReadSeries, Path]:
    path = source if source.is_file() else series_file(source)
    if path is None:
        raise DataError(f"{printable(source)}: expected {' or '.join(LAYOUTS)}")
    if not path.exists():
        raise DataError(f"{printable(path)}: does not exist")
    return read_series(path, key), path


def _prepared(
    table: ReadSeries, path: Path, options: Mapping[str, Any]
) -> tuple[SeriesFacts, np.ndarray, np.ndarray | None, list[str]]:
    readings, times, notes = table.readings, None, []
    step = options.get("step_minutes", table.step_minutes)
    if table.times:
        readings, times, step, added = regular_steps(readings, table.times, printable(path))
        if added:
            notes.append(f"{added:,} steps have no row and are taken as missing")
    zeros = bool(options.get("zeros_missing", False))
    if zeros:
        readings = np.where(readings == 0, np.float32("nan"), readings)
    span = 0.0 if step is None else len(readings) * step
    facts = SeriesFacts(
        sensors=list(table.sensors),
        history=options.get("history", 12),
        horizon=options.get("horizon", 12),
        step_minutes=step,
        clock=times is not None and span >= 2 * 24 * 60 and step is not None and step <= 720,
        zeros_missing=zeros,
        unit=options.get("unit", ""),
        value=options.get("value"),
    )
    return facts, np.ascontiguousarray(readings), times, notes


def _check_sensors(known: np.ndarray, names: Sequence[str], path: Path) -> None:
    empty = np.asarray(np.logical_not(known).all(axis=0))
    if empty.any():
        raise DataError(
            f"{printable(path)}: sensors without any reading in the training part (the first "
            f"{TRAIN:.0%}): {named_few(names, empty)}; leave these columns out"
        )


def _silent(readings: np.ndarray, names: Sequence[str], part: str) -> str:
    """Name the sensors that no figure of a part knows of. Shape: readings (t, sensors)"""
    empty = np.asarray(np.isnan(readings).all(axis=0))
    if not empty.any():
        return ""
    return (
        f"sensors without any reading in the {part} part, which its figures leave out: "
        f"{named_few(names, empty)}"
    )


def _graph(
    table: ReadSeries, source: Path, options: Mapping[str, Any], names: Sequence[str], path: Path
) -> SensorGraph | None:
    """The graph of the option, of the folder, or of the file of readings, in this order."""
    symmetrise = options.get("symmetrise", "no")
    if "graph" in options:
        return read_graph(Path(options["graph"]), names, symmetrise=symmetrise)
    if source.is_dir():
        for file in (source / f"{GRAPH}.npz", source / f"{GRAPH}.csv"):
            if file.is_file():
                return read_graph(file, names, symmetrise=symmetrise)
    key = next((k for k in GRAPH_KEYS if k in table.extra), None)
    if key is None:
        return None
    return graph_of_matrix(table.extra[key], names, place=printable(path), symmetrise=symmetrise)


def _places(table: ReadSeries, sensors: int) -> np.ndarray | None:
    found = next((table.extra[k] for k in PLACE_KEYS if k in table.extra), None)
    return found if found is not None and found.shape == (sensors, 2) else None
