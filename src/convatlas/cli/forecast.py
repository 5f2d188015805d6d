"""The verb `forecast`: the next readings of sensors, as a table and a picture."""

from pathlib import Path

import typer

from convatlas.cli.output import note, print_json, say, table
from convatlas.cli.voice_files import check_free
from convatlas.errors import DataError, UsageError
from convatlas.text import printable

TASK = "forecast"


def forecast_command(
    run: Path = typer.Argument(help="A run folder of the task `forecast`.", metavar="RUN"),
    file: Path = typer.Argument(
        help="A table of recent readings (CSV, npz or parquet), the latest in its last line.",
        metavar="FILE",
    ),
    steps: int | None = typer.Option(
        None,
        min=1,
        help="Steps to forecast; more than the network answers at once are made by feeding its "
        "own forecast back. Those of the run where not given.",
    ),
    out: Path = typer.Option(Path("forecast"), help="The folder to write to.", metavar="DIR"),
    force: bool = typer.Option(False, "--force", help="Replace files that are there already."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Forecast the next readings of each sensor from a table of recent ones.

    NAME-forecast.csv has a line a step and a column a sensor; NAME-forecast.png shows some of them
    behind their last readings. The file may be longer than what the network reads.
    """
    from convatlas.data.graphs.asked_series import asked_series, silent_words
    from convatlas.data.graphs.series_data import SeriesFacts
    from convatlas.deploy.forecaster import Forecaster
    from convatlas.explain.forecasts.picture import draw_forecast
    from convatlas.explain.forecasts.prediction import SensorForecast
    from convatlas.pipeline.run import open_run

    opened = open_run(run)
    predictor = opened.predictor()
    if not isinstance(predictor, Forecaster):
        raise UsageError(
            f"forecast: {printable(run)} is a run of the task {opened.config.task}; the next "
            f"readings of sensors come from a run of the task {TASK}"
        )
    facts = SeriesFacts.model_validate(opened.facts)
    count = steps or facts.horizon
    (asked,) = asked_series(file, facts, steps=count)
    if asked.item is None:
        raise DataError(asked.error or f"{printable(file)}: cannot be read")
    values = predictor.forecast(asked.item, count)
    if not bool(values.isfinite().all()):
        raise DataError(f"{printable(file)}: the network's answer is not a finite number")
    answer = SensorForecast(asked.name, facts.sensors, asked.steps, values=values)
    if asked.silent:
        note(f"warning: {silent_words(asked)}")
    picture = out / f"{answer.stem}-forecast.png"
    if not force:
        check_free([*answer.paths(out), picture])
    written = answer.save(out)
    past = asked.item[0] if isinstance(asked.item, tuple) else asked.item
    draw_forecast(picture, facts.sensors, past, values, unit=facts.unit)
    if as_json:
        sensors = dict(zip(facts.sensors, values.T.tolist(), strict=True))
        files = {"table": written[0], "picture": picture}
        known = {"run": run, "model": opened.config.model, "file": file, "unit": facts.unit}
        print_json({**known, "steps": asked.steps, "forecast": sensors, "files": files})
        return
    table(answer.rows(1), opened.task.columns, right=opened.task.right)
    say(f"{len(facts.sensors):,} sensors, {count:,} steps in {printable(written[0])}")
