"""The picture of which classes are taken for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from convatlas.tasks.sections.drawing import BLUE, ORANGE, label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHORT_LABEL = 3  # up to this many characters need not be turned
NAMED_CELLS = 32  # up to this many classes have room for their counts


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
    return f"{count} of {total} {labels[true]} predicted as {labels[given]}{share}"


def _see_through(colour: str, share: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"
