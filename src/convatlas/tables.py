"""Tables as plain text and as HTML: for terminals, logs and notebooks alike."""

from collections.abc import Collection, Sequence
from html import escape
from typing import Any

from convatlas.text import printable


def plain_lines(
    rows: Sequence[Sequence[str]], columns: Sequence[str], right: Collection[str] = ()
) -> list[str]:
    """Align columns two spaces apart, heading first, nothing cut off or wrapped."""
    flat = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *flat, strict=True)]

    def line(cells: Sequence[str]) -> str:
        placed = (
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(cells, widths, columns, strict=True)
        )
        return "  ".join(placed).rstrip()

    return [line(columns), *map(line, flat)]


def html_table(
    rows: Sequence[Sequence[Any]],
    columns: Sequence[str],
    right: Collection[str] = (),
    *,
    caption: str = "",
) -> str:
    """Write the same as HTML, every cell escaped; what notebooks show."""
    styles = ["text-align: right" if name in right else "text-align: left" for name in columns]

    def line(cells: Sequence[Any], tag: str) -> str:
        placed = (
            f'<{tag} style="{style}">{_cell(cell)}</{tag}>'
            for cell, style in zip(cells, styles, strict=True)
        )
        return f"<tr>{''.join(placed)}</tr>"

    head = f"<caption>{_cell(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    top = line(columns, "th") if any(columns) else ""
    return f"<table>{head}<thead>{top}</thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return escape(printable(value))
