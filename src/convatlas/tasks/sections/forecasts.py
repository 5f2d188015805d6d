"""What the report shows of forecasts: errors by horizon, curves against the truth, a map."""

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from convatlas.data.graphs.series_data import SeriesData
from convatlas.explain.forecasts.evaluation import LAST, NETWORK, ForecastEvaluation
from convatlas.explain.forecasts.horizons import step_words
from convatlas.tasks.report_content import ReportContent, Section
from convatlas.tasks.sections.drawing import BLUE, ORANGE, framed, label
from convatlas.tasks.sections.page import render
from convatlas.train.tasks.forecast import mae

MAX_EDGES = 5000  # of the graph that are drawn
RANKS = (" (least error)", " (middling)", " (largest error)")  # in the order of the curves


def show_forecasts(evaluation: ForecastEvaluation, data: SeriesData) -> ReportContent:
    """Return the parts of the report: headline, errors by horizon, curves, what the data hold."""
    facts, metric = evaluation.facts, mae(evaluation.facts.unit)
    error, last = (evaluation.sums[name].at().mae for name in (NETWORK, LAST))
    return ReportContent(
        sentence=f"It forecasts {len(facts.sensors):,} sensors up to "
        f"{step_words(facts.horizon - 1, facts.step_minutes)} ahead with a mean absolute error of "
        f"{metric.text(error)}; repeating the last reading has {metric.text(last)}.",
        notes=[f"over all {facts.horizon} steps of {len(evaluation):,} windows of the latest time"],
        sections=[_errors(evaluation, data)],
        data=Markup("<p>{}</p>").format(data.summary()),
    )


def _errors(evaluation: ForecastEvaluation, data: SeriesData) -> Section:
    heads, rows, _ = evaluation.table()
    facts = evaluation.facts
    values: Mapping[str, Any] = {
        "heads": heads,
        "rows": rows,
        "total": len(evaluation),
        "ahead": step_words(evaluation.steps[-1], facts.step_minutes),
        "unit": facts.unit or "the data's own unit",
    }
    names = list(evaluation.curves)
    ranks = RANKS if len(names) == len(RANKS) else ("",) * len(names)
    figures = [
        (f"sensor {label(name)}{rank}", _curve(evaluation, name))
        for name, rank in zip(names, ranks, strict=True)
    ]
    if data.places is not None:
        figures.append(("map of the errors", _map(evaluation, data)))
    return Section(
        "forecasts",
        "Forecasts by horizon",
        lambda pictures: render("forecasts.html.j2", {**values, "figures": pictures}),
        {"forecasts": figures},
    )


def _curve(evaluation: ForecastEvaluation, name: str) -> Any:
    import plotly.graph_objects as go

    times, truth, forecast = evaluation.curves[name]
    facts = evaluation.facts
    ahead = step_words(evaluation.steps[-1], facts.step_minutes)
    figure = go.Figure(
        [
            go.Scatter(x=times, y=truth, name="truth", line={"color": BLUE}),
            go.Scatter(x=times, y=forecast, name=f"{ahead} ahead", line={"color": ORANGE}),
        ]
    )
    return framed(figure, up=facts.unit)


def _map(evaluation: ForecastEvaluation, data: SeriesData) -> Any:
    """Sensors at their places, coloured by their error, with the edges of the data's graph."""
    import plotly.graph_objects as go

    assert data.places is not None
    y, x = data.places[:, 0].tolist(), data.places[:, 1].tolist()
    parts = []
    if data.graph is not None:
        ends = [
            (a, b)
            for a, b in zip(data.graph.rows.tolist(), data.graph.columns.tolist(), strict=True)
            if a < b
        ][:MAX_EDGES]
        parts.append(
            go.Scatter(
                x=[each for a, b in ends for each in (x[a], x[b], None)],
                y=[each for a, b in ends for each in (y[a], y[b], None)],
                mode="lines",
                line={"width": 0.5, "color": "#bbbbbb"},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    unit = f", {evaluation.facts.unit}" if evaluation.facts.unit else ""
    errors = [None if e != e else e for e in evaluation.sums[NETWORK].by_sensor().tolist()]
    parts.append(
        go.Scatter(
            x=x,
            y=y,
            mode="markers",
            marker={
                "color": errors,
                "colorscale": "Viridis",
                "colorbar": {"title": {"text": mae().words + unit, "side": "right"}},
                "size": 7,
            },
            text=[label(name) for name in evaluation.facts.sensors],
            showlegend=False,
        )
    )
    # A degree of longitude is shorter than one of latitude, and the map no wider than that.
    up = 1 / max(0.1, math.cos(math.radians(sum(y) / len(y)))) if max(map(abs, y)) <= 90 else 1
    figure = framed(go.Figure(parts), height=520)
    return figure.update_yaxes(scaleanchor="x", scaleratio=up)
