"""What reaches the screen: tables for a terminal, plain text for a pipe, one object for a program.

Answers go to standard output, progress and warnings to standard error. What steers a terminal in
a name (escape codes, turned writing) is shown as its code.
"""

import contextlib
import io
import json
import math
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from convatlas.tables import plain_lines
from convatlas.text import printable, unicode_only

# In JSON these may stand in text only, where JSON has an escape for them.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# A list of plain numbers, spread over lines by `json`: no text can hold a bare line end.
_SHORT_LIST = re.compile(r"\[\n\s*([^][{}\"]*?)\n\s*\]")


def on_terminal() -> bool:
    """Return whether a person's terminal reads standard output."""
    return sys.stdout.isatty()


def take_any_letter() -> None:
    """Make standard output show a letter that its encoding lacks as a code, not fail on it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_json(obj: Any) -> None:
    """Print the one JSON object of a verb; not-a-number becomes null, as JSON has none."""
    plain = plain_values(obj)
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    if not _can_show(text):
        text = json.dumps(plain, indent=2, allow_nan=False)
    text = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    _write(_SHORT_LIST.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text))


def say(text: str = "") -> None:
    """Print a line of the answer on standard output, as it stands: never wrapped or coloured."""
    _write(for_screen(text))


def note(text: str) -> None:
    """Print a line about progress on standard error."""
    with contextlib.suppress(OSError):  # a closed terminal must not cost the work its end
        print(for_screen(text), file=sys.stderr, flush=True)


def for_screen(text: str) -> str:
    """Return the text without what steers a terminal or cannot be encoded; line ends stay."""
    return printable(text, keep="\n\t")


def table(
    rows: Iterable[Sequence[Any]],
    columns: Sequence[str],
    *,
    right: Collection[str] = (),
    title: str | None = None,
) -> None:
    """Print rows under their headings; None is shown as a dash.

    Args:
        columns: the headings.
        right: headings of the columns that are flush right, as numbers are.
        title: a line above.
    """
    texts = [["-" if cell is None else for_screen(str(cell)) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(texts, columns, right, title)
        return
    if title:
        say(title)
    for line in plain_lines(texts, columns, right):
        say(line)


def _rich_table(
    rows: Sequence[Sequence[str]],
    columns: Sequence[str],
    right: Collection[str],
    title: str | None,
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    take_any_letter()
    grid = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for heading in columns:
        grid.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        # As Text: a name with square brackets is not markup.
        grid.add_row(*(Text(cell) for cell in row))
    Console().print(grid)


def _write(text: str) -> None:
    if not _can_show(text):
        encoding = sys.stdout.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    print(text)


def _can_show(text: str) -> bool:
    """Not every pipe can show a µ, and none a file name that is no Unicode."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def plain_values(obj: Any) -> Any:
    """Return dataclasses, paths, tuples and sets as what JSON knows."""
    if is_dataclass(obj) and not isinstance(obj, type):
        # What is not printed, such as the samples of a voice, is no JSON either.
        return plain_values({f.name: getattr(obj, f.name) for f in fields(obj) if f.repr})
    if isinstance(obj, str):
        return unicode_only(obj)
    if isinstance(obj, dict):
        return {unicode_only(str(key)): plain_values(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [plain_values(value) for value in obj]
    if isinstance(obj, set | frozenset):
        return [plain_values(value) for value in sorted(obj)]
    if isinstance(obj, Path):
        return unicode_only(str(obj))
    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    return obj
