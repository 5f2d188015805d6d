"""The parts of the README that are written by scripts, each between two comments."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def replace_part(page: Path, mark: str, text: str) -> None:
    """Put `text` between the two comments of a page that are named `mark`.

    Raises:
        ValueError: the page has no such comments.
    """
    pattern = re.compile(rf"(<!-- {mark}:[^\n]*-->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    written, places = pattern.subn(lambda m: f"{m[1]}{text}\n{m[2]}", page.read_text("utf-8"))
    if places != 1:
        raise ValueError(f"{page.name}: must have one place <!-- {mark}: ... -->, has {places}")
    page.write_text(written, encoding="utf-8")
