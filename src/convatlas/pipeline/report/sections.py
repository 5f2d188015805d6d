"""What the report says in words and tables of every run, computed from its config and scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convatlas.data.findings import with_reasons
from convatlas.pipeline.config import RunConfig
from convatlas.pipeline.outcomes import QUANTITIES
from convatlas.text import printable

PIXEL_SIDES = {"width", "height"}


@dataclass(frozen=True)
class CostLine:
    """One cost of the chosen network beside its limit; `share` of the limit is used."""

    words: str
    unit: str
    value: float | None
    limit: float | None

    @property
    def share(self) -> float | None:
        if self.limit is None or self.value is None:
            return None
        return self.value / self.limit


def costs(config: RunConfig) -> list[CostLine]:
    """Return what the chosen network costs, each beside the limit of the budget."""
    return [
        CostLine(q.words, q.unit, getattr(config, q.name), getattr(config.budget, q.name))
        for q in QUANTITIES
    ]


def bare(quantity: str) -> str:
    """Return a claim's quantity without its unit, which stands beside the figure."""
    for unit in ("_percent", "_bytes", "_s"):
        quantity = quantity.removesuffix(unit)
    return quantity.replace("_", " ")


@dataclass(frozen=True)
class Check:
    """Files that a person should know of; serious ones touch the result."""

    words: str
    rows: list[str]
    serious: bool


def checks(scan: Mapping[str, Any]) -> list[Check]:
    """Return what the scan found, worst first; kinds that it did not find are left out."""
    found = [
        Check(
            "Identical files are in two splits: the test accuracy may be too high.",
            [f"{printable(a)} ({x}) and {printable(b)} ({y})" for a, x, b, y in scan["leaks"]],
            serious=True,
        ),
        Check(
            "Identical files are in two classes.",
            [
                f"{printable(a)} ({printable(x)}) and {printable(b)} ({printable(y)})"
                for a, x, b, y in scan["conflicts"]
            ],
            serious=True,
        ),
        Check("Broken files were skipped.", _remarks(scan["broken"]), serious=True),
        Check(
            "Files whose content does not match their name; they were used",
            _remarks(scan["renamed"]),
            serious=False,
        ),
        Check(
            "Files that were left out because of their names or places",
            _remarks(with_reasons(scan["ignored"])),
            serious=False,
        ),
        Check("How the data was read", _lines(scan.get("notes", ())), serious=False),
    ]
    return [check for check in found if check.rows]


def _lines(sentences: Sequence[str]) -> list[str]:
    return [printable(sentence) for sentence in sentences]


def _remarks(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{printable(file)}: {printable(remark)}" for file, remark in rows]


def sizes(scan: Mapping[str, Any]) -> str:
    """Return `width 28, height 20 to 31 (median 28) pixels`; empty where it is not known.

    What is not measured in pixels says its unit in its name.
    """
    found = [
        f"{side} {least}" if least == most else f"{side} {least} to {most} (median {middle})"
        for side, (least, middle, most) in scan["sizes"].items()
    ]
    pixels = " pixels" if found and PIXEL_SIDES.issuperset(scan["sizes"]) else ""
    return ", ".join(found) + pixels
