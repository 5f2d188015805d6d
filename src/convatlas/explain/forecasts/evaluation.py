"""Forecasts of all windows of a split beside the truth, the last value and the usual value."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convatlas.data.graphs.series_data import SeriesFacts, WindowSplit
from convatlas.errors import DataError
from convatlas.explain.forecasts.horizons import (
    ErrorSums,
    not_beaten,
    shown_steps,
    step_words,
)
from convatlas.progress import Progress
from convatlas.text import printable
from convatlas.train.tasks.forecast import mae

NETWORK, LAST, USUAL = "network", "last value", "historical average"
CURVES = 3  # sensors that are drawn: the best, a middling and the worst
MAX_POINTS = 600  # of a curve
BATCH = 64


@dataclass(frozen=True, eq=False)
class ForecastEvaluation:
    """Errors of the network and of the simplest forecasts.

    Args:
        sums: by forecast: `network`, `last value` and, where there is one, `historical average`.
        windows: that were forecast.
        curves: of a few sensors at the longest horizon shown: times, truth, forecast.
    """

    facts: SeriesFacts
    sums: Mapping[str, ErrorSums]
    windows: int
    curves: Mapping[str, tuple[list[str], list[float], list[float]]]
    warnings: tuple[str, ...] = ()
    seen: int = 0

    def __len__(self) -> int:
        return self.windows

    @property
    def steps(self) -> list[int]:
        """Steps that tables show, the first being 0."""
        return shown_steps(self.facts.horizon, self.facts.step_minutes)

    @property
    def figures(self) -> dict[str, float]:
        """Errors over all steps; those at each shown step are in the table."""
        overall = self.sums[NETWORK].at()
        found = {"mae": overall.mae, "rmse": overall.rmse}
        if _known(overall.mape) is not None:
            found["mape"] = overall.mape
        found["mae_last_value"] = self.sums[LAST].at().mae
        if USUAL in self.sums:
            found["mae_historical_average"] = self.sums[USUAL].at().mae
        return found

    def with_findings(self, warnings: Sequence[str], seen: int) -> "ForecastEvaluation":
        """Return the same answers with what was found in the data."""
        return replace(self, warnings=tuple(warnings), seen=seen)

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`."""
        metric = mae(self.facts.unit)
        beside = ", ".join(
            f"{name} {metric.text(sums.at().mae)}"
            for name, sums in self.sums.items()
            if name != NETWORK
        )
        return {
            "words": f"{metric.text(self.sums[NETWORK].at().mae)} on {self.windows:,} windows "
            f"({beside})",
            "doubts": self.doubts(),
            "horizons": self.horizons(),
        }

    def doubts(self) -> list[str]:
        """Return a sentence for each simple forecast that the network does not beat."""
        found = []
        for name, sums in self.sums.items():
            if name == NETWORK:
                continue
            steps = not_beaten(self.sums[NETWORK], sums, self.steps)
            if steps:
                when = ", ".join(step_words(s, self.facts.step_minutes) for s in steps)
                found.append(
                    f"it does not forecast better than the {name} at {when}: more data or more "
                    "time may help, or the simple forecast is the better one"
                )
        return found

    def horizons(self) -> list[dict[str, Any]]:
        """Return errors by forecast and horizon, for JSON."""
        rows = []
        for step in self.steps:
            for name, sums in self.sums.items():
                errors = sums.at(step)
                rows.append(
                    {
                        "horizon": step_words(step, self.facts.step_minutes),
                        "steps": step + 1,
                        "forecast": name,
                        "mae": _known(errors.mae),
                        "rmse": _known(errors.rmse),
                        "mape": _known(errors.mape),
                    }
                )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        by_sensor = self.sums[NETWORK].by_sensor().tolist()
        return {
            "windows": self.windows,
            "horizons": self.horizons(),
            "mae_by_sensor": {
                name: _known(error)
                for name, error in zip(self.facts.sensors, by_sensor, strict=True)
            },
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]:
        """Return the errors by horizon, the network's first."""
        heads = ("horizon", "forecast", "MAE", "RMSE", "MAPE")
        rows = [
            (
                row["horizon"],
                row["forecast"],
                *("-" if row[key] is None else f"{row[key]:.3g}" for key in ("mae", "rmse")),
                "-" if row["mape"] is None else f"{row['mape']:.1%}",
            )
            for row in self.horizons()
        ]
        return heads, rows, heads[2:]

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        return [f"{mae().words} {self.record()['words']}"]


def evaluate_forecasts(
    answer: Callable[[list[Any]], Tensor],
    last_readings: Callable[[Tensor], Tensor],
    split: WindowSplit,
    progress: Progress,
    items: str,
) -> ForecastEvaluation:
    """Answer every window of a split and sum up the errors.

    Args:
        answer: gives the forecasts of windows as the split reads them.
        last_readings: gives the last known reading of each sensor of some histories.
        items: what windows are called.

    Raises:
        DataError: an answer is not finite, or nothing of what follows is known.
    """
    facts = split.facts
    names = [NETWORK, LAST, *([USUAL] if split.average is not None else [])]
    sums = {name: ErrorSums(facts.horizon, len(facts.sensors)) for name in names}
    step = shown_steps(facts.horizon, facts.step_minutes)[-1]
    kept: list[Tensor] = []
    bar = progress.bar("testing", len(split), unit=items)
    for start in range(0, len(split), BATCH):
        places = range(start, min(start + BATCH, len(split)))
        inputs = [split.read(place) for place in places]
        answers = answer(inputs)
        truth = torch.stack([split.truth(place) for place in places])
        if not bool(torch.isfinite(answers).all()):
            raise DataError(
                "the network's answer is not a finite number for "
                f"{printable(split.files[places[0]])} or one of the windows after it"
            )
        past = torch.stack([x[0] if isinstance(x, tuple) else x for x in inputs])
        last = last_readings(past)
        sums[NETWORK].add(answers, truth)
        sums[LAST].add(last[:, None].expand_as(truth), truth)
        if USUAL in sums:
            sums[USUAL].add(torch.stack([_usual(split, place) for place in places]), truth)
        kept.append(answers[:, step])
        bar.update(places[-1] + 1)
    bar.close()
    if not sums[NETWORK].at().count:
        raise DataError("all readings that are to be forecast are missing")
    curves = _curves(torch.cat(kept), split, step, sums[NETWORK].by_sensor())
    return ForecastEvaluation(facts, sums, len(split), curves)


def _known(value: float) -> float | None:
    """Return None for a figure that no reading gave, as JSON has it."""
    return None if math.isnan(value) else value


def _usual(split: WindowSplit, place: int) -> Tensor:
    usual = split.usual(place)
    assert usual is not None
    return usual


def _curves(
    forecast: Tensor, split: WindowSplit, step: int, errors: Tensor
) -> dict[str, tuple[list[str], list[float], list[float]]]:
    """Return truth and forecast of the best, a middling and the worst sensor."""
    order = [n for n in errors.argsort().tolist() if not math.isnan(float(errors[n]))]
    picked = list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))[:CURVES]
    places = range(min(len(split), MAX_POINTS))
    rows = [split.starts[place] + split.facts.history + step for place in places]
    names = [split.step_name(row) for row in rows]
    return {
        split.facts.sensors[n]: (
            names,
            [float(split.readings[row, n]) for row in rows],
            forecast[: len(rows), n].tolist(),
        )
        for n in picked
    }
