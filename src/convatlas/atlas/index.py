"""The counted cost of every registered network, read from a file, so that nothing heavy loads.

`build.py` writes the file; a test counts everything again and fails if the file is stale.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

INDEX = Path(__file__).with_name("index.json")


@dataclass(frozen=True)
class Indexed:
    """One network at the input that its published figures hold for."""

    name: str
    task: str
    paper: str
    options: Mapping[str, Any]
    input: tuple[int, ...]
    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int

    @property
    def short_paper(self) -> str:
        """Authors, place and year, without title, identifier and table."""
        untitled = re.sub(r'"[^"]*", ', "", self.paper)
        year = re.match(r".*?\b(?:19|20)\d\d\b", untitled)
        return year[0] if year else untitled

    @property
    def year(self) -> int | None:
        """Of the paper; None where its source does not say."""
        ending = re.search(r"\d{4}$", self.short_paper)
        return int(ending[0]) if ending else None


@cache
def read_index() -> Mapping[str, Indexed]:
    """Read each network of the index by name, in the order of registration."""
    rows = json.loads(INDEX.read_text("utf-8"))
    return {row["name"]: Indexed(**{**row, "input": tuple(row["input"])}) for row in rows}


def write_index(rows: list[Indexed]) -> None:
    """Write one network a line, so that a change shows as one line."""
    lines = [json.dumps(asdict(row), ensure_ascii=False) for row in rows]
    INDEX.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    read_index.cache_clear()
