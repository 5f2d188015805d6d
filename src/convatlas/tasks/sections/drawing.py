"""Colours and labels of the report's pictures."""

import base64
import html
import io
from typing import Any

from convatlas.text import printable

BLUE, ORANGE = "#3a86c8", "#d97706"
LABEL_LENGTH = 24


def label(name: str) -> str:
    """Return a name as plotly shows it: on one line, short, its `<` a `<`."""
    text = printable(name) or "(no name)"
    short = text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"
    return html.escape(short, quote=False)


def framed(figure: Any, across: str = "", up: str = "", *, height: int = 340) -> Any:
    """Give a plotly figure the frame of the report's pictures, without which it is a flat strip.

    Args:
        across: title of the axis that lies, as `up` is of the one that stands.
        height: pixels, its legend above the picture and the axes included.
    """
    return figure.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 36, "b": 56},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        xaxis={"title": {"text": across}, "zeroline": False, "automargin": True},
        yaxis={"title": {"text": up}, "zeroline": False, "automargin": True},
    )


def png_address(picture: Any) -> str:
    """Return a Pillow image as an address that holds it whole."""
    packed = io.BytesIO()
    picture.save(packed, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
