"""A connectivity as a picture: an SVG file that any browser shows."""

from collections.abc import Sequence
from html import escape

from torch import Tensor

from convatlas.ops.catalog.connectivity import Connectivity

CELL, GAP, MARGIN = 18, 36, 16
HEAD = 60  # above the first row, for the title
REACH = 130  # between the two rows of a panel of lines
NARROWEST, WIDEST = 80, 480  # of a panel of lines
INK, PALE, LINE, ACCENT = "#24292f", "#eaeef2", "#b8c0c8", "#d1481f"

Panel = tuple[str, int, int, list[str]]  # title, width, height, what is drawn


def svg_text(
    connectivity: Connectivity, title: str, detail: str, steps: Sequence[Connectivity] = ()
) -> str:
    """Write a whole SVG file: positions and channels of the operator, then a row for each step.

    Args:
        title: a line above; what the picture shows, in words.
        detail: a smaller line below it; the numbers it was made with.
    """
    rows = [("", connectivity), *((f"step {i}: ", step) for i, step in enumerate(steps, start=1))]
    wide, top = 2 * MARGIN + max(8 * len(title), 6.5 * len(detail)), HEAD
    shapes: list[str] = []
    for name, one in rows:
        row, right, bottom = _row(name, one, top)
        shapes += row
        wide, top = max(wide, right), bottom
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{top}" '
        f'viewBox="0 0 {wide:.0f} {top}" font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide:.0f}" height="{top}" rx="6" fill="#fff"/>',
        _text(MARGIN, 24, title, bold=True),
        _text(MARGIN, 40, detail, small=True),
    ]
    return "\n".join([*head, *shapes, "</svg>", ""])


def _row(name: str, connectivity: Connectivity, top: int) -> tuple[list[str], int, int]:
    """Draw the panels of one operator side by side; return them, their right and lower end."""
    panels = [*_places(connectivity), _lines("channels", connectivity.channels)]
    if connectivity.own is not None:
        panels.append(_lines("channels, own place", connectivity.own))
    shapes: list[str] = []
    left = MARGIN
    for index, (title, width, _, drawn) in enumerate(panels):
        label = name + title if index == 0 else title
        shapes.append(_text(left, top + 10, label))
        shapes += [f'<g transform="translate({left} {top + 24})">', *drawn, "</g>"]
        left += max(width, 7 * len(label), NARROWEST) + GAP
    return shapes, left - GAP + MARGIN, top + 24 + max(panel[2] for panel in panels) + MARGIN


def _places(connectivity: Connectivity) -> list[Panel]:
    if len(connectivity.input) == 1:
        return [_lines("positions", connectivity.places)]
    return [
        _grids("read by the middle output", connectivity.reads()),
        _grids("fed by the middle input", connectivity.feeds()),
    ]


def _lines(name: str, matrix: Tensor) -> Panel:
    """Draw inputs below, outputs above, a line where one is read; the middle output stands out."""
    outputs, inputs = matrix.shape
    wide = min(CELL * max(outputs, inputs), WIDEST)
    above = [wide * (i + 0.5) / outputs for i in range(outputs)]
    below = [wide * (i + 0.5) / inputs for i in range(inputs)]
    chosen = outputs // 2
    strokes: list[str] = []
    # The middle output last, so that its lines lie on top.
    for out in [*(i for i in range(outputs) if i != chosen), chosen]:
        look = f'stroke="{ACCENT}" stroke-width="2"' if out == chosen else f'stroke="{LINE}"'
        read = matrix[out].nonzero().flatten().tolist()
        path = " ".join(f"M{below[i]:.0f} {REACH}L{above[out]:.0f} 8" for i in read)
        if path:
            strokes.append(f'<path d="{path}" {look} fill="none"/>')
    for i, x in enumerate(above):
        strokes.append(_dot(x, 8, ACCENT if i == chosen else INK))
    for i, x in enumerate(below):
        strokes.append(_dot(x, REACH, ACCENT if matrix[chosen, i] else INK))
    strokes.append(_text(0, REACH + 24, "inputs below", small=True))
    return name, wide, REACH + 28, strokes


def _grids(name: str, grid: Tensor) -> Panel:
    """Draw two axes as squares; of three, the slices from left to right."""
    slices = [grid] if grid.dim() == 2 else list(grid)
    high, wide = slices[0].shape
    side = CELL - 2
    cells: dict[bool, list[str]] = {False: [], True: []}
    for number, part in enumerate(slices):
        left = number * (wide * CELL + 10)
        for row, values in enumerate(part.tolist()):
            for column, on in enumerate(values):
                cells[on].append(f"M{left + column * CELL} {row * CELL}h{side}v{side}h-{side}z")
    shapes = [
        f'<path d="{"".join(found)}" fill="{ACCENT if on else PALE}"/>'
        for on, found in cells.items()
        if found
    ]
    return name, len(slices) * (wide * CELL + 10) - 10, high * CELL, shapes


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>'


def _text(x: float, y: float, text: str, *, bold: bool = False, small: bool = False) -> str:
    look = ' font-weight="bold"' if bold else ' font-size="11"' if small else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}"{look}>{escape(text)}</text>'
