"""Recent readings of sensors in, the next ones out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from convatlas.data.graphs.asked_series import AskedSeries, asked_series, silent_words
from convatlas.data.graphs.open_series import (
    LAYOUTS,
    holds_series,
    open_series,
    open_series_test,
    reopen_series,
)
from convatlas.data.graphs.series_data import SeriesData, SeriesFacts, WindowSplit
from convatlas.data.graphs.statistics import series_statistics
from convatlas.data.packed.recognise import holds_packed
from convatlas.data.sources.stored_parts import learnt_digests, parsed
from convatlas.data.statistics import Statistics
from convatlas.deploy.forecaster import Forecaster
from convatlas.errors import UsageError
from convatlas.explain.forecasts.evaluation import ForecastEvaluation, evaluate_forecasts
from convatlas.explain.forecasts.prediction import COLUMNS, CSV_COLUMNS, SensorForecast
from convatlas.metric import Metric
from convatlas.models.registry import Entry
from convatlas.tasks.graph_networks import forecast_candidates
from convatlas.tasks.onnx_forecast_snippet import forecast_runtime_code
from convatlas.tasks.reopened import agreeing
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.sections.forecasts import show_forecasts
from convatlas.tasks.series_options import check_series_options, series_options
from convatlas.tasks.task import Task
from convatlas.tasks.trial_series import TrialSeries
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.forecast import mae

RECIPE = Recipe(lr=2e-3, weight_decay=0.01, batch_size=32, clip_norm=5.0)


class ForecastSensors(Task[SeriesData, ForecastEvaluation]):
    """Forecast the next readings of sensors, joined by a graph or not."""

    name = "forecast"
    before = ("classify",)  # whose tables a CSV file might be
    metric = mae()
    items = "windows"
    layouts = LAYOUTS
    columns = COLUMNS
    right = COLUMNS[2:]
    next = "recent.csv"
    asking = "Forecast from new readings"
    recipe = RECIPE

    def takes(self, source: str | Path) -> bool:
        return holds_series(Path(source)) and not holds_packed(source)  # a parquet file of images

    def check_options(self, options: Mapping[str, Any]) -> None:
        check_series_options(options)

    def metric_for(self, options: Mapping[str, Any]) -> Metric:
        return mae(options.get("unit", ""))

    def open(self, source, *, seed, max_broken, options, progress) -> SeriesData:
        return open_series(source, seed=seed, options=series_options(options))

    def open_test(self, source, facts, *, max_broken, progress) -> SeriesData:
        return open_series_test(source, SeriesFacts.model_validate(facts))

    def reopen(self, stored, source, facts) -> SeriesData:
        return agreeing(reopen_series(stored, source), stored, facts)

    def learnt_from(self, stored) -> set[str] | None:
        return learnt_digests(parsed(stored)["splits"])

    def unseen(self, data: SeriesData, split: WindowSplit, known: set[str]) -> list[int]:
        """Return the windows none of whose steps to forecast was trained on."""
        facts = data.facts_
        known_steps = [digest in known for digest in data.row_digests]
        return [
            place
            for place, start in enumerate(split.starts)
            if not any(known_steps[start + facts.history : start + facts.history + facts.horizon])
        ]

    def with_options(self, facts, options) -> dict[str, Any]:
        asked = [key for key, value in options.items() if value is not None]
        if asked:
            raise UsageError(f"forecast: a run has no option {asked[0]} for reading files")
        return dict(facts)

    def check(self, facts, settings, run) -> None:
        known = SeriesFacts.model_validate(facts)
        for key in ("mean", "std"):
            if len(settings.get(key, ())) != len(known.sensors):
                raise ValueError(f"settings: {key} must have a number for each sensor")
        if not all(std > 0 for std in settings["std"]):
            raise ValueError("settings: std must be above 0")
        for option, value in (("sensors", len(known.sensors)), ("horizon", known.horizon)):
            if run.options.get(option, value) != value:
                raise ValueError(f"options: {option} is {run.options[option]}, not {value}")

    def fresh(self, entries: Sequence[Entry], data: SeriesData, *, fixed_width: bool):
        return forecast_candidates(entries, data, fixed_width=fixed_width)

    def pretrained(self, checkpoints, data):
        raise UsageError("there are no public weights for the task forecast")

    def input_words(self, example) -> str:
        return f"{example['steps']} steps"

    def trial_data(self, data: SeriesData, recipe, options, progress) -> TrialSeries:
        return TrialSeries(data, progress)

    def settings(self, candidate, facts) -> dict[str, Any]:
        sensors = len(facts["sensors"])
        return {"mean": [0.0] * sensors, "std": [1.0] * sensors}

    def predictor(self, network: nn.Module, settings, facts) -> Forecaster:
        known = SeriesFacts.model_validate(facts)
        return Forecaster(network, known, settings["mean"], settings["std"])

    def sample(self, split: WindowSplit, count: int) -> list[Any]:
        step = max(1, len(split) // count)
        return [split.read(place) for place in range(0, len(split), step)][:count]

    def predict(self, predictor, asked, facts, progress):
        known = SeriesFacts.model_validate(facts)
        total = len(asked) if isinstance(asked, list | tuple) else None
        listed: Iterator[AskedSeries] = asked_series(asked, known)
        return total, (self._forecast(predictor, each, known) for each in listed)

    def _forecast(self, predictor, asked: AskedSeries, facts: SeriesFacts) -> SensorForecast:
        if asked.item is None:
            return SensorForecast(asked.name, error=asked.error)
        values = predictor().predict([asked.item])[0]
        if not bool(values.isfinite().all()):
            return SensorForecast(
                asked.name, error=f"{asked.name}: the network's answer is not a finite number"
            )
        doubt = silent_words(asked)
        return SensorForecast(asked.name, facts.sensors, asked.steps, doubt=doubt, values=values)

    def prediction_doubts(self, predictions: Sequence[SensorForecast]) -> list[str]:
        return [each.doubt for each in predictions if each.doubt]

    def evaluate(self, predictor, split: WindowSplit, facts, progress) -> ForecastEvaluation:
        assert isinstance(predictor, Forecaster)
        return evaluate_forecasts(
            predictor.predict, predictor.last_readings, split, progress, self.items
        )

    def csv_columns(self, top: int) -> list[str]:
        return list(CSV_COLUMNS)

    def describe_facts(self, facts) -> list[tuple[str, str]]:
        return [("sensors", f"{len(facts['sensors']):,}")]

    def describe_settings(self, settings, facts) -> list[tuple[str, str]]:
        known = SeriesFacts.model_validate(facts)
        extra = [
            *(["the time of day"] if known.clock else []),
            *(["which readings are missing"] if known.gaps else []),
        ]
        return [
            ("read", f"{known.history} steps" + (f", {' and '.join(extra)}" if extra else "")),
            ("forecast", f"{known.horizon} steps, as the change from the last reading"),
            ("scaled by", "mean and standard deviation of each sensor in the training part"),
        ]

    def show(self, evaluation: ForecastEvaluation, data: SeriesData, scan) -> ReportContent:
        return show_forecasts(evaluation, data)

    def statistics(
        self, data: SeriesData, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part = data.splits[split]
        first, last = min(part.starts), max(part.starts) + part.facts.history + part.facts.horizon
        return series_statistics(part.readings[first:last], data.graph, part.facts.unit)

    def runtime_code(self, path: Path, run) -> str:
        return forecast_runtime_code(path, SeriesFacts.model_validate(run.facts))


TASK = ForecastSensors()
