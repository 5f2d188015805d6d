"""The report's other pictures: learning curves, confusion, cost per layer."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from convatlas.cost.report import LayerCost
from convatlas.data.names import printable
from convatlas.text import format_number

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN = "#3a86c8", "#d97706", "#2a9d6f"
LABEL_LENGTH = 24
SHORT_LABEL = 3  # up to so many characters need not be turned
NAMED_CELLS = 32  # up to so many classes have room for their counts
NAMED_LAYERS = 32  # and so many layers for their names
LAYER_QUANTITIES = {"macs": "multiply-adds", "params": "parameters", "activation_bytes": "output"}


def label(name: str) -> str:
    """A class name as plotly shows it: on one line, short, its `<` a `<`."""
    text = printable(name) or "(no name)"
    short = text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"
    return html.escape(short, quote=False)


def loss_curves(log: Sequence[Mapping[str, Any]]) -> "Figure":
    """Training and validation loss over the epochs."""
    lines = {"train_loss": ("training", ORANGE, "dot"), "val_loss": ("validation", BLUE, "solid")}
    return _curves(log, lines, "loss")


def accuracy_curve(log: Sequence[Mapping[str, Any]]) -> "Figure":
    """Validation accuracy over the epochs."""
    figure = _curves(log, {"val_accuracy": ("validation", BLUE, "solid")}, "accuracy")
    values = [row["val_accuracy"] for row in log if row.get("val_accuracy") is not None]
    figure.update_yaxes(tickformat="~%", range=share_range(values))
    return figure


def share_range(values: Sequence[float]) -> list[float]:
    """An axis for shares: a little wider than the values, hardly beyond 0 and 1."""
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


def confusion_map(matrix: Tensor, names: Sequence[str]) -> "Figure":
    """Counts of each true class (rows) by the class given (columns).

    Right answers are blue by the share of their class that was found; mistakes are orange by
    their own scale, for beside the right ones they could not be seen.

    Shape: (classes, classes)
    """
    from plotly import graph_objects as go

    places = list(range(len(names)))
    labels = [label(name) for name in names]
    counts = matrix.tolist()
    right = [[counts[i][j] if i == j else None for j in places] for i in places]
    wrong = [[counts[i][j] if i != j and counts[i][j] else None for j in places] for i in places]
    figure = go.Figure(layout={"template": "none"})
    for kind, cells, colour in (("right", right, BLUE), ("mistakes", wrong, ORANGE)):
        figure.add_heatmap(
            z=_shares(cells, counts) if kind == "right" else cells,
            x=places,
            y=places,
            zmin=0,
            zmax=1 if kind == "right" else max([n for row in cells for n in row if n], default=1),
            colorscale=[[0, _see_through(colour, 0.12)], [1, _see_through(colour, 0.9)]],
            showscale=False,
            text=[["" if n is None else str(n) for n in row] for row in cells],
            texttemplate="%{text}" if len(names) <= NAMED_CELLS else None,
            hovertext=[[_cell(labels, counts, i, j) for j in places] for i in places],
            hoverinfo="text",
            hoverongaps=False,
            xgap=1,
            ygap=1,
            name=kind,
        )
    ticks = {"tickvals": places, "ticktext": labels, "showgrid": False, "zeroline": False}
    figure.update_layout(
        height=180 + max(240, 24 * len(names)),
        margin={"l": 16, "r": 16, "t": 16, "b": 16},
        xaxis={
            **ticks,
            "title": {"text": "answered"},
            "automargin": True,
            "tickangle": -45 if max(map(len, labels)) > SHORT_LABEL else 0,
        },
        yaxis={**ticks, "title": {"text": "true"}, "automargin": True, "autorange": "reversed"},
    )
    return figure


def _shares(cells: list[list[int | None]], counts: list[list[int]]) -> list[list[float | None]]:
    totals = [max(1, sum(row)) for row in counts]
    return [
        [None if n is None else n / total for n in row]
        for row, total in zip(cells, totals, strict=True)
    ]


def _cell(labels: Sequence[str], counts: list[list[int]], true: int, given: int) -> str:
    count, total = counts[true][given], sum(counts[true])
    share = f" ({count / total:.1%})" if total else ""
    return f"{count} of {total} {labels[true]} answered as {labels[given]}{share}"


def _see_through(colour: str, share: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def layer_costs(layers: Sequence[LayerCost], quantity: str = "macs") -> "Figure":
    """One bar a layer in the order they run; layers that cost nothing are left out.

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
