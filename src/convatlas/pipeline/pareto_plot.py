"""The picture of the leaderboard: the metric against cost, with the budget drawn in.

Two forms of the same picture: for the report (plotly) and for documents (SVG through matplotlib).
"""

import html
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from convatlas.metric import Metric
from convatlas.pipeline.config import Trial
from convatlas.pipeline.front import front_of
from convatlas.pipeline.outcomes import (
    CHOSEN,
    Outcome,
    Quantity,
    by_outcome,
    quantity_named,
    settings,
)
from convatlas.pipeline.report.curves import metric_axis
from convatlas.search.budget import Budget
from convatlas.text import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from plotly.graph_objects import Figure

LIMIT_COLOUR = "#d1495b"
FRONT_LINE = {"color": "#8b929c", "width": 1, "dash": "dot"}
MARGIN = 1.6  # a factor left and right of the outermost points
SIZES = {CHOSEN: 17}


def cost_known(leaderboard: Sequence[Trial], quantity: str) -> bool:
    """Return whether the quantity is known of any network that was trained."""
    return any(_cost(c, quantity) for c in leaderboard if c.figures)


def metric_against_cost(
    leaderboard: Sequence[Trial], metric: Metric, budget: Budget, quantity: str = "macs"
) -> "Figure":
    """Draw trained candidates by their validated metric, the others on a strip below.

    Args:
        quantity: the cost, a field of `Trial`; candidates whose cost is not known are left out.
    """
    from plotly import graph_objects as go

    cost, limit = quantity_named(quantity), getattr(budget, quantity)
    groups = by_outcome(leaderboard, lambda c: _cost(c, quantity) is not None)
    left, right = _range(groups, quantity, limit)
    figure = go.Figure(layout={"template": "none", "height": 460})
    for outcome, members in groups:
        for trained in (True, False):
            rows = [c for c in members if bool(c.figures) == trained]
            if rows:
                figure.add_trace(_points(outcome, rows, metric, quantity, trained=trained))
    figure.update_layout(
        margin={"l": 64, "r": 16, "t": 16, "b": 108},
        legend={"orientation": "h", "y": -0.2, "x": 0},
        hovermode="closest",
        xaxis={
            "type": "log",
            "title": {"text": cost.words},
            "tickformat": "~s",
            "ticksuffix": {"s": "s", "bytes": "B"}.get(cost.unit, ""),
            "range": [math.log10(left), math.log10(right)],
            "anchor": "y2",
            # 1, 2, 5, 10: where there is room for all digits plotly would write all.
            "dtick": "D2" if right / left > 10 else None,
        },
        yaxis={
            "title": {"text": _axis_words(metric)},
            "domain": [0.2, 1],
            "zeroline": False,
            **metric_axis(metric, [v for c in leaderboard if (v := c.value(metric)) is not None]),
        },
        yaxis2={
            "domain": [0, 0.13],
            "range": [-1.6, 1.6],
            "tickvals": [0],
            "ticktext": ["not<br>trained"],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
    )
    _draw_front(figure, front_of(leaderboard, metric, (quantity,)), metric, quantity)
    if limit is not None:
        _draw_limit(figure, limit, right, format_number(limit, cost.unit))
    return figure


def _axis_words(metric: Metric) -> str:
    unit = f" in {metric.unit}" if metric.unit and not metric.is_fraction else ""
    return f"validation {metric.words}{unit}"


def _cost(trial: Trial, quantity: str) -> float | None:
    return getattr(trial, quantity) or None  # no place for 0 on a logarithmic axis


def _range(
    groups: list[tuple[Outcome, list[Trial]]], quantity: str, limit: float | None
) -> tuple[float, float]:
    values = [getattr(c, quantity) for _, members in groups for c in members]
    values += [limit] if limit is not None else []
    return min(values, default=1) / MARGIN, max(values, default=10) * MARGIN


def _points(outcome: Outcome, rows: list[Trial], metric: Metric, quantity: str, *, trained: bool):
    from plotly import graph_objects as go

    # On the strip the points stand in five rows, so that equal costs do not hide each other.
    heights = [c.value(metric) if trained else (i % 5 - 2) / 2 for i, c in enumerate(rows)]
    return go.Scatter(
        x=[getattr(c, quantity) for c in rows],
        y=heights,
        yaxis="y" if trained else "y2",
        mode="markers",
        name=outcome.words,
        legendgroup=outcome.words,
        showlegend=trained or not any(c.figures for c in rows),
        marker={
            "symbol": outcome.symbol,
            "color": outcome.colour,
            "size": SIZES.get(outcome, 10),
            "line": {"width": 2 if outcome.hollow else 0, "color": outcome.colour},
        },
        hovertext=[_hover(c, metric) for c in rows],
        hoverinfo="text",
    )


def _hover(trial: Trial, metric: Metric) -> str:
    lines = [
        f"<b>{_safe(trial.model)}</b>",
        _safe(settings(trial)),
        f"{format_number(trial.params)} params, {format_number(trial.macs)} macs",
    ]
    if trial.latency_s is not None:
        lines.append(f"latency {format_number(trial.latency_s, 's')}")
    if trial.figures:
        # A linear head on frozen features is solved for, not trained in passes.
        how = f"after {trial.epochs:.1f} epochs" if trial.epochs else "with a linear head"
        lines.append(f"{metric.text(trial.value(metric), 2)} on validation {how}")
    outcome = f"{trial.status}: {trial.reason}" if trial.reason else trial.status
    return "<br>".join([*lines, _safe(outcome)])


def _safe(text: str) -> str:
    return html.escape(text, quote=False)  # plotly reads a little HTML in its labels


def _draw_front(figure: "Figure", front: Sequence[Trial], metric: Metric, quantity: str) -> None:
    """Draw steps between the networks that no other beats at this cost."""
    from plotly import graph_objects as go

    if len(front) > 1:
        figure.add_trace(
            go.Scatter(
                x=[_cost(c, quantity) for c in front],
                y=[c.value(metric) for c in front],
                mode="lines",
                line={**FRONT_LINE, "shape": "vh"},
                name="no other is better for less",
                hoverinfo="skip",
            )
        )


def _draw_limit(figure: "Figure", limit: float, right: float, words: str) -> None:
    figure.add_shape(
        type="rect",
        x0=limit,
        x1=right,
        y0=0,
        y1=1,
        yref="paper",
        fillcolor=LIMIT_COLOUR,
        opacity=0.1,
        line_width=0,
        layer="below",
    )
    line = {"color": LIMIT_COLOUR, "width": 2, "dash": "dash"}
    figure.add_shape(type="line", x0=limit, x1=limit, y0=0, y1=1, yref="paper", line=line)
    figure.add_annotation(
        x=math.log10(limit),
        y=1,
        yref="paper",
        yanchor="top",
        xanchor="right",
        xshift=-4,
        text=f"budget {words}",
        showarrow=False,
        font={"color": LIMIT_COLOUR},
    )


def metric_against_cost_svg(
    leaderboard: Sequence[Trial], metric: Metric, budget: Budget, quantity: str = "macs"
) -> str:
    """Draw the same picture as a text of SVG, for a README: trained candidates only.

    Equal input gives equal text, so a document under version control stays as it is.

    Args:
        quantity: as for `metric_against_cost`.
    """
    import matplotlib
    from matplotlib.figure import Figure

    known = [c for c in leaderboard if c.figures]
    groups = by_outcome(known, lambda c: _cost(c, quantity) is not None)
    cost, limit = quantity_named(quantity), getattr(budget, quantity)
    page = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "convatlas", "svg.fonttype": "none"}):
        # A README is shown on white and on black, so the picture brings its own ground.
        figure = Figure(figsize=(7.2, 4.2), layout="constrained", facecolor="white")
        _draw_axes(figure.subplots(), groups, metric, cost, limit)
        figure.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
    return page.getvalue()


def _draw_axes(
    axes: "Axes",
    groups: list[tuple[Outcome, list[Trial]]],
    metric: Metric,
    cost: Quantity,
    limit: float | None,
) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

    for outcome, rows in groups:
        axes.plot(
            [getattr(c, cost.name) for c in rows],
            [c.value(metric) or 0.0 for c in rows],
            linestyle="none",
            marker=outcome.marker,
            color=outcome.colour,
            markersize=14 if outcome is CHOSEN else 7,
            label=outcome.words,
        )
        for c in rows:  # a picture in a document has nothing to hover over
            place = (getattr(c, cost.name), c.value(metric) or 0.0)
            axes.annotate(c.model, place, (8, -3), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    left, right = _range(groups, cost.name, limit)
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value, cost.unit)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if metric.is_fraction:
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel(cost.words)
    axes.set_ylabel(_axis_words(metric))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if limit is not None:
        axes.axvspan(limit, right, color=LIMIT_COLOUR, alpha=0.1, linewidth=0)
        words = f"budget {format_number(limit, cost.unit)}"
        axes.axvline(limit, color=LIMIT_COLOUR, linestyle="--", label=words)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="best")
