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


def png_address(picture: Any) -> str:
    """Return a Pillow image as an address that holds it whole."""
    packed = io.BytesIO()
    picture.save(packed, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
