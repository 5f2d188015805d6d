"""Readings of sensors over time, cut into windows: some steps of history, and those that follow."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from convatlas.data.graphs.sensor_graph import SensorGraph
from convatlas.data.graphs.similar_series import similar_series_graph
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import FORMAT
from convatlas.replacing import replacing
from convatlas.text import printable

DAY_MINUTES = 24 * 60
MAX_STEPS = 4096  # of history or horizon


class SeriesFacts(BaseModel):
    """What a forecaster and its predictor have to know of the data.

    Args:
        sensors: their names, in the order of the readings.
        history: steps that are read.
        horizon: steps that are forecast.
        step_minutes: between two rows; None where the data do not say it.
        clock: whether the network is given the time of day.
        gaps: whether the training data had missing readings, so that the network is told of them.
        zeros_missing: whether 0 means that a reading is missing.
        unit: of the readings.
        value: the array of an npz file that holds them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    sensors: Annotated[list[str], Field(min_length=1)]
    history: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    horizon: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    step_minutes: Annotated[float, Field(gt=0)] | None = None
    clock: bool = False
    gaps: bool = False
    zeros_missing: bool = False
    unit: str = ""
    value: str | None = None

    @property
    def channels(self) -> int:
        """Numbers of each sensor and step that the network reads."""
        return 1 + int(self.gaps) + 2 * int(self.clock)


@dataclass(frozen=True, eq=False)
class WindowSplit:
    """Windows of one table; `starts` are the rows of their first steps.

    Args:
        readings: NaN where there is none. Shape: float32 (t, sensors)
        times: of the rows; None where they are not known.
        average: usual readings of the training part by time of day, or one row for all times;
            None where there is no training part. Shape: float32 (steps of a day or 1, sensors)
    """

    readings: NDArray[np.float32]
    times: NDArray[np.datetime64] | None
    starts: Sequence[int]
    facts: SeriesFacts
    average: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def files(self) -> list[str]:
        """What the windows are called: the time, or row, of the first step that is forecast."""
        return [self.step_name(start + self.facts.history) for start in self.starts]

    def step_name(self, row: int) -> str:
        """Return the time of a row, or its number."""
        return f"row {row + 1}" if self.times is None else str(self.times[row])

    def read(self, index: int) -> Any:
        """Return a window as the predictor takes it: history, and the clock where it reads one.

        Shape: float32 (history, sensors), and (history,)
        """
        start = self.starts[index]
        past = torch.from_numpy(self.readings[start : start + self.facts.history])
        return (past, self.clock(start)) if self.facts.clock else past

    def clock(self, start: int) -> Tensor:
        """Return the time of day of a window's history, from 0 to 1. Shape: float32 (history,)"""
        assert self.times is not None
        return torch.from_numpy(day_fraction(self.times[start : start + self.facts.history]))

    def truth(self, index: int) -> Tensor:
        """Return the readings that follow a window, NaN where missing. Shape: (horizon, sensors)"""
        first = self.starts[index] + self.facts.history
        return torch.from_numpy(self.readings[first : first + self.facts.horizon])

    def usual(self, index: int) -> Tensor | None:
        """Return the training part's average at the steps that follow. Shape: (horizon, sensors)"""
        if self.average is None:
            return None
        first = self.starts[index] + self.facts.history
        rows = np.arange(first, first + self.facts.horizon)
        return torch.from_numpy(self.average[self.places(rows)])

    def places(self, rows: NDArray) -> NDArray[np.int64]:
        """Return the row of `average` for each of these rows."""
        if self.average is None or len(self.average) == 1 or self.times is None:
            return np.zeros(len(rows), np.int64)
        return day_places(self.times[rows], len(self.average))

    def subset(self, indices: Iterable[int]) -> "WindowSplit":
        """Return the windows at these places, in this order; nothing is copied."""
        starts = [self.starts[index] for index in indices]
        return WindowSplit(self.readings, self.times, starts, self.facts, self.average)


@dataclass(frozen=True, eq=False)
class SeriesData:
    """Everything the main job needs to know of readings over time.

    Args:
        name: short, for titles.
        source: absolute path, in its stored form.
        seed: chosen by the user; the split is by time and needs none.
        splits: under `train`, `val` and `test`, in the order of time.
        scan: what was found before training.
        facts_: what network and predictor have to know.
        bounds: rows that end the training and the validation part; none for one split.
        graph: that joins the sensors, where the data have one.
        places: latitude and longitude, or other coordinates. Shape: (sensors, 2)
        options: that the data were opened with, for opening them again.
        row_digests: of each row with the history before it.
    """

    name: str
    source: str
    seed: int
    splits: dict[str, WindowSplit]
    scan: ScanReport
    facts_: SeriesFacts
    bounds: tuple[int, int] | None = None
    graph: SensorGraph | None = None
    places: NDArray | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    row_digests: Sequence[str] = ()

    @property
    def digests(self) -> Mapping[str, str]:
        """What each window is known by: its first step that is forecast, with its history."""
        return {
            file: self.row_digests[start + self.facts_.history]
            for split in self.splits.values()
            for file, start in zip(split.files, split.starts, strict=True)
        }

    def facts(self) -> dict[str, Any]:
        """Return `SeriesFacts` as JSON."""
        return self.facts_.model_dump(mode="json")

    def summary(self) -> str:
        """Return what is in it in a few words."""
        facts = self.facts_
        rows = len(self.splits["test"].readings)
        step = "" if facts.step_minutes is None else f" of {facts.step_minutes:g} minutes"
        joined = "no graph" if self.graph is None else f"a graph of {len(self.graph) // 2:,} edges"
        return (
            f"{len(facts.sensors):,} sensors, {rows:,} steps{step}, {joined}; "
            f"{facts.horizon} steps ahead from {facts.history}"
        )

    @cached_property
    def similar(self) -> SensorGraph:
        """The graph of the series' likeness, of the training part alone."""
        train = self.splits["train"]
        end = self.bounds[0] if self.bounds else len(train.readings)
        if train.average is not None and len(train.average) > 1:
            return similar_series_graph(train.average.T.astype(np.float64))
        return similar_series_graph(filled(train.readings[:end]).T.astype(np.float64))

    def save(self, path: Path) -> None:
        """Write what opens exactly these splits again as JSON, whole or not at all.

        Raises:
            WriteError: the file cannot be written.
        """
        first = self.facts_.history
        ends = self.bounds or (0, 0)
        stored = {
            "format": FORMAT,
            "kind": "series",
            "name": self.name,
            "source": self.source,
            "seed": self.seed,
            "options": dict(self.options),
            "bounds": list(ends),
            "scan": self.scan.to_dict(),
            "splits": {
                "train": {"digests": list(self.row_digests[first : ends[0]])},
                "val": {"digests": list(self.row_digests[ends[0] : ends[1]])},
                "test": {"digests": list(self.row_digests[ends[1] :])},
            },
        }
        with replacing(path) as fresh:
            fresh.write_text(json.dumps(stored, indent=1), encoding="utf-8")


def digests_of_rows(readings: NDArray[np.float32], history: int) -> list[str]:
    """Return what each row is known by: its readings and those of the history before it."""
    own = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in readings]
    return [
        hashlib.blake2b(b"".join(own[max(0, row - history) : row + 1]), digest_size=8).hexdigest()
        for row in range(len(own))
    ]


def average_day(
    readings: NDArray[np.float32], times: NDArray[np.datetime64] | None, step_minutes: float | None
) -> NDArray[np.float32]:
    """Return the mean of each sensor by time of day; one row where the day is not known.

    A time of day without a reading gets the sensor's mean.

    Shape: (t, sensors) -> (steps of a day or 1, sensors)
    """
    known = ~np.isnan(readings)
    values = np.where(known, readings, 0).astype(np.float64)
    overall = values.sum(0) / np.maximum(known.sum(0), 1)
    steps = 0 if step_minutes is None else round(DAY_MINUTES / step_minutes)
    if times is None or not 2 <= steps <= len(readings):
        return overall[None].astype(np.float32)
    sums = np.zeros((steps, readings.shape[1]))
    counts = np.zeros((steps, readings.shape[1]))
    places = day_places(times, steps)
    np.add.at(sums, places, values)
    np.add.at(counts, places, known)
    return np.where(counts > 0, sums / np.maximum(counts, 1), overall).astype(np.float32)


def day_fraction(times: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Return the time of day from 0 to 1. Shape: (t,) -> float32 (t,)"""
    seconds = (times - times.astype("datetime64[D]")).astype("timedelta64[s]").astype(np.int64)
    return (seconds / (60 * DAY_MINUTES)).astype(np.float32)


def day_places(times: NDArray[np.datetime64], steps: int) -> NDArray[np.int64]:
    """Return which of a day's steps each time is. Shape: (t,) -> (t,)"""
    return np.rint(day_fraction(times).astype(np.float64) * steps).astype(np.int64) % steps


def filled(readings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the sensor's mean in place of missing readings. Shape: (t, sensors) -> the same"""
    return np.where(np.isnan(readings), np.nanmean(readings, axis=0), readings)


def named_few(names: Sequence[str], flags: NDArray) -> str:
    """Return the first few names that a flag marks."""
    marked = [printable(name) for name, flag in zip(names, flags, strict=True) if flag]
    return ", ".join(marked[:5]) + (f" and {len(marked) - 5:,} more" if len(marked) > 5 else "")
