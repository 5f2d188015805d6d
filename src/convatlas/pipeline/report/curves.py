"""The pictures that every report has: learning curves and the cost of each layer."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from convatlas.cost.report import LayerCost
from convatlas.metric import Metric
from convatlas.tasks.sections.drawing import BLUE, ORANGE, label
from convatlas.text import format_number
from convatlas.train.task import VALIDATED

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREEN = "#2a9d6f"
NAMED_LAYERS = 32  # up to this many layers have room for their names
LAYER_QUANTITIES = {"macs": "multiply-adds", "params": "parameters", "activation_bytes": "output"}


def loss_curves(log: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draw training and validation loss over the epochs."""
    lines = {"train_loss": ("training", ORANGE, "dot"), "val_loss": ("validation", BLUE, "solid")}
    return _curves(log, lines, "loss")


def metric_curve(log: Sequence[Mapping[str, Any]], metric: Metric) -> "Figure":
    """Draw the validated metric over the epochs."""
    key = VALIDATED + metric.key
    figure = _curves(log, {key: ("validation", BLUE, "solid")}, metric.words)
    figure.update_yaxes(**metric_axis(metric, [v for r in log if (v := r.get(key)) is not None]))
    return figure


def metric_axis(metric: Metric, values: Sequence[float]) -> dict[str, Any]:
    """Return how plotly draws an axis of the metric: of a fraction in percent, near its values."""
    return {"tickformat": "~%", "range": share_range(values)} if metric.is_fraction else {}


def share_range(values: Sequence[float]) -> list[float]:
    """Return an axis for fractions: a little wider than the values, hardly beyond 0 and 1."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = max(0.02, 0.06 * (high - low))
    return [max(-0.02, low - pad), min(1.02, high + pad)]


def _curves(
    log: Sequence[Mapping[str, Any]], lines: Mapping[str, tuple[str, str, str]], title: str
) -> "Figure":
    from plotly import graph_objects as go

    figure = go.Figure(layout={"template": "none", "height": 320})
    for key, (name, colour, dash) in lines.items():
        values = [row.get(key) for row in log]
        figure.add_scatter(
            x=[row["epoch"] for row in log],
            # JSON has no NaN; a gap shows where the loss was no number.
            y=[v if v is not None and math.isfinite(v) else None for v in values],
            name=name,
            mode="lines+markers" if len(log) < 40 else "lines",
            line={"color": colour, "dash": dash, "width": 2},
            hovertext=[_moment(row) for row in log],
        )
    figure.update_layout(
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hovermode="x unified",
        xaxis={"title": {"text": "epoch"}, "zeroline": False},
        yaxis={"title": {"text": title}, "zeroline": False, "automargin": True},
        showlegend=len(lines) > 1,
    )
    return figure


def _moment(row: Mapping[str, Any]) -> str:
    rate = f", learning rate {row['lr']:.2g}" if row.get("lr") is not None else ""
    return f"step {row.get('step', '?')}, {format_number(row.get('seconds'), 's')}{rate}"


def layer_costs(layers: Sequence[LayerCost], quantity: str = "macs") -> "Figure":
    """Draw a bar a layer in the order they run; layers that cost nothing are left out.

    Args:
        quantity: `macs`, `params` or `activation_bytes`.
    """
    from plotly import graph_objects as go

    rows = [layer for layer in layers if getattr(layer, quantity)]
    values = [getattr(layer, quantity) for layer in rows]
    places = list(range(len(rows)))
    unit = "bytes" if quantity == "activation_bytes" else ""
    amounts = {"title": {"text": LAYER_QUANTITIES[quantity]}, "tickformat": "~s"}
    amounts["ticksuffix"] = "B" if unit else ""
    named = len(rows) <= NAMED_LAYERS
    ticks = {
        "tickvals": places if named else [],
        "ticktext": [label(layer.name) for layer in rows] if named else [],
        "title": {"text": None if named else "layers in the order they run"},
        "automargin": True,
        "showgrid": False,
    }
    bar = go.Bar(
        x=values if named else places,
        y=places if named else values,
        orientation="h" if named else "v",
        marker={"color": BLUE},
        hovertext=[_layer(layer, format_number(getattr(layer, quantity), unit)) for layer in rows],
        hoverinfo="text",
    )
    figure = go.Figure(bar, layout={"template": "none"})
    figure.update_layout(
        height=120 + 22 * len(rows) if named else 380,
        margin={"l": 16 if named else 64, "r": 16, "t": 16, "b": 56},
        bargap=0.25 if named else 0.1,
        xaxis=amounts if named else ticks,
        yaxis={**ticks, "autorange": "reversed"} if named else amounts,
    )
    return figure


def _layer(layer: LayerCost, amount: str) -> str:
    shape = " x ".join(map(str, layer.output[1:])) if layer.output else "did not run"
    return f"<b>{label(layer.name)}</b><br>{label(layer.kind)}<br>output {shape}<br>{amount}"
