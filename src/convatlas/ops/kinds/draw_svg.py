"""A wiring as a picture: an SVG file that any browser shows."""

from html import escape
from itertools import accumulate

from torch import Tensor

from convatlas.ops.kinds.wiring import Wiring

CELL, GAP, MARGIN = 18, 36, 16
HEAD = 40  # above a panel, for its title
REACH = 130  # between the two rows of a panel of lines
INK, PALE, LINE, ACCENT = "#24292f", "#eaeef2", "#b8c0c8", "#d1481f"

Panel = tuple[str, int, int, list[str]]  # title, width, height, what is drawn


def svg_text(wiring: Wiring, title: str) -> str:
    """The whole SVG file: positions first, then channels.

    Args:
        title: a line above; what the picture shows, in words.
    """
    panels = [*_places(wiring), _lines("channels", wiring.channels)]
    if wiring.own is not None:
        panels.append(_lines("channels, own place", wiring.own))
    widths = [max(width, 7 * len(name)) for name, width, _, _ in panels]
    starts = [MARGIN, *(MARGIN + x for x in accumulate(width + GAP for width in widths))]
    wide = max(starts[-1] - GAP + MARGIN, 7 * len(title) + 2 * MARGIN)
    high = HEAD + 24 + max(height for _, _, height, _ in panels) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{high}" rx="6" fill="#fff"/>',
        _text(MARGIN, 24, title, bold=True),
    ]
    for start, (name, _, _, shapes) in zip(starts, panels, strict=False):
        parts.append(_text(start, HEAD + 10, name))
        parts += [f'<g transform="translate({start} {HEAD + 24})">', *shapes, "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _places(wiring: Wiring) -> list[Panel]:
    if len(wiring.input) == 1:
        return [_lines("positions", wiring.places)]
    return [
        _grids("read by the middle output", wiring.reads()),
        _grids("fed by the middle input", wiring.feeds()),
    ]


def _lines(name: str, matrix: Tensor) -> Panel:
    """Inputs below, outputs above, a line where one is read; the middle output's stand out."""
    outputs, inputs = matrix.shape
    wide = CELL * max(outputs, inputs)
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
    strokes.append(_text(0, REACH + 24, "inputs below, outputs above", small=True))
    return name, wide, REACH + 28, strokes


def _grids(name: str, grid: Tensor) -> Panel:
    """Two axes as squares; of three, the slices from left to right."""
    slices = [grid] if grid.dim() == 2 else list(grid)
    high, wide = slices[0].shape
    shapes = []
    for number, part in enumerate(slices):
        left = number * (wide * CELL + 10)
        for row, values in enumerate(part.tolist()):
            for column, on in enumerate(values):
                shapes.append(
                    f'<rect x="{left + column * CELL}" y="{row * CELL}" width="{CELL - 2}" '
                    f'height="{CELL - 2}" rx="2" fill="{ACCENT if on else PALE}"/>'
                )
    return name, len(slices) * (wide * CELL + 10) - 10, high * CELL, shapes


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{colour}"/>'


def _text(x: float, y: float, text: str, *, bold: bool = False, small: bool = False) -> str:
    look = ' font-weight="bold"' if bold else ' font-size="11"' if small else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{INK}"{look}>{escape(text)}</text>'
