"""The whole atlas in one interactive picture: published accuracy against counted cost."""

from collections import defaultdict
from html import escape
from pathlib import Path
from typing import Any

from convatlas.atlas.listing import Listed, rows
from convatlas.models import find_entry
from convatlas.text import format_number

DATASETS = {"imagenet": "ImageNet", "cifar10": "CIFAR-10"}
AT = {"x": 0, "xanchor": "left", "y": 1.12, "yanchor": "top"}  # of the buttons
COSTS = {"macs": "multiply-adds", "params": "parameters"}
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")


def overview_page() -> str:
    """One picture a data set; a button changes the cost, a click on a family hides it."""
    parts = [
        "# The atlas in one picture",
        "Accuracy as its paper publishes it, against the cost that we count. Hover over a point "
        "for the network, click a family to hide it, double-click to see it alone, and change "
        "between multiply-adds and parameters above the picture. Papers train and test in "
        "different ways (crops, resolution, augmentation), so points of two papers compare "
        "roughly; a hollow point was tested in another way than one plain pass.",
        # Before the pictures and not deferred, for their own scripts run where they stand.
        '```{raw} html\n<script src="../_static/plotly.min.js"></script>\n```',
    ]
    for dataset, words in DATASETS.items():
        listed = [row for row in rows() if row.published and row.published.dataset == dataset]
        if listed:
            parts += [f"## {words}", "```{raw} html", _figure_html(listed, dataset), "```"]
    return "\n\n".join(parts) + "\n"


def _figure_html(listed: list[Listed], dataset: str) -> str:
    from plotly import graph_objects as go

    families: dict[str, list[Listed]] = defaultdict(list)
    for row in listed:
        families[find_entry(row.name).module.rsplit(".", 1)[1]].append(row)
    figure = go.Figure(layout={"template": "none", "height": 640})
    for index, (family, members) in enumerate(sorted(families.items())):
        figure.add_trace(_trace(family, members, SYMBOLS[index // 10 % len(SYMBOLS)]))
    figure.update_layout(
        margin={"l": 64, "r": 16, "t": 48, "b": 56},
        xaxis={"type": "log", "title": {"text": COSTS["macs"]}, "tickformat": "~s"},
        yaxis={"title": {"text": f"published accuracy on {DATASETS[dataset]}"}, "tickformat": "~%"},
        updatemenus=[_buttons(list(families), families)],
    )
    return figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"overview-{dataset}")


def _trace(family: str, members: list[Listed], symbol: str) -> Any:
    from plotly import graph_objects as go

    ordered = sorted(members, key=lambda row: row.macs)
    hollow = [row.published is not None and row.published.setting is not None for row in ordered]
    return go.Scatter(
        x=[row.macs for row in ordered],
        y=[row.published.value if row.published else None for row in ordered],
        mode="lines+markers",
        line={"width": 1, "dash": "dot"},
        marker={"size": 9, "symbol": [symbol + ("-open" if h else "") for h in hollow]},
        name=family,
        hovertext=[_hover(row) for row in ordered],
        hoverinfo="text",
    )


def _hover(row: Listed) -> str:
    assert row.published is not None
    how = f" ({escape(row.published.setting)})" if row.published.setting else ""
    return (
        f"<b>{row.name}</b><br>{row.published.value:.1%}{how}<br>{format_number(row.params)} "
        f"params, {format_number(row.macs)} macs<br>{escape(row.paper)}"
    )


def _buttons(order: list[str], families: dict[str, list[Listed]]) -> dict[str, Any]:
    """Change the cost of every trace at once; the points keep their order, by multiply-adds."""
    buttons = []
    for cost, words in COSTS.items():
        values = [
            [getattr(row, cost) for row in sorted(families[f], key=lambda row: row.macs)]
            for f in sorted(order)
        ]
        change = [{"x": values}, {"xaxis.title.text": words}]
        buttons.append({"label": words, "method": "update", "args": change})
    return {"type": "buttons", "direction": "right", "buttons": buttons, **AT}


def write_plotly(folder: Path) -> None:
    """The script that draws, beside the pages: they open without a network."""
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plotly.min.js"
    if not path.exists():
        path.write_text(get_plotlyjs(), encoding="utf-8")
