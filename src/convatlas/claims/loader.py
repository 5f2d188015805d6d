"""Read the published figures: one TOML a paper, one `[[claim]]` a figure.

A file opens with its paper (`title`, `authors`, `year`, `arxiv`, `family`), may give `[defaults]`
that hold for every row which does not say otherwise, and then lists its rows. The fields of a
row are those of `Claim`; `docs` tables, tests, command line and page all read them here.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from convatlas.claims.claim import Claim, Paper, contradictions
from convatlas.claims.printed import half_unit, printed_value
from convatlas.errors import DataError, nearest

FOLDER = Path(__file__).parent


@cache
def load_papers(folder: Path = FOLDER) -> tuple[Paper, ...]:
    """Load the papers whose figures are held, oldest first.

    Raises:
        DataError: a file whose head lacks a field or holds one that is not known.
    """
    papers = [_read_paper(path.stem, _parse(path)) for path in folder.glob("*.toml")]
    return tuple(sorted(papers, key=lambda paper: (paper.year, paper.arxiv or "", paper.key)))


@cache
def load_claims(folder: Path = FOLDER) -> tuple[Claim, ...]:
    """Load each published figure, papers from the oldest on, in the order of their rows.

    Raises:
        DataError: a row that is incomplete, contradicts itself or stands there twice; the message
            names file and row.
    """
    claims = []
    for paper in load_papers(folder):
        claims += _read_claims(paper.key, _parse(folder / f"{paper.key}.toml"))
    return tuple(claims)


def find_claims(models: Iterable[str], folder: Path = FOLDER) -> tuple[Claim, ...]:
    """Find the figures of some networks, in the order of the papers."""
    wanted = set(models)
    return tuple(claim for claim in load_claims(folder) if claim.model in wanted)


@cache
def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"claims/{path.name}: must be TOML in UTF-8: {error}") from error


def _read_paper(key: str, content: Mapping[str, Any]) -> Paper:
    head = {k: v for k, v in content.items() if k not in ("defaults", "claim")}
    known = [f.name for f in fields(Paper) if f.name != "key"]
    _refuse_unknown(f"claims/{key}.toml", head, known)
    missing = [name for name in known if name not in head and name != "arxiv"]
    if missing:
        raise DataError(f"claims/{key}.toml: must open with {', '.join(missing)}")
    return Paper(key=key, **head)


def _read_claims(key: str, content: Mapping[str, Any]) -> list[Claim]:
    claims: list[Claim] = []
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(content.get("claim", ()), start=1):
        where = f"claims/{key}.toml, row {number} ({row.get('model')}, {row.get('quantity')})"
        claim = _read_claim(where, key, {**content.get("defaults", {}), **row})
        if (first := seen.setdefault(_identity(claim), number)) != number:
            raise DataError(f"{where}: must stand here once, got the same as row {first}")
        claims.append(claim)
    return claims


def _identity(claim: Claim) -> tuple[Any, ...]:
    options = tuple(sorted(claim.options.items()))
    setting = (claim.input, claim.dataset, claim.setting)
    return (claim.model, options, *setting, claim.quantity, claim.where)


def _read_claim(where: str, key: str, row: dict[str, Any]) -> Claim:
    known = [f.name for f in fields(Claim) if f.name != "paper"]
    _refuse_unknown(where, row, known)
    missing = [name for name in known[: known.index("options")] if name not in row]
    if missing:
        raise DataError(f"{where}: must have {', '.join(missing)}")
    try:
        row.setdefault("within", half_unit(row["printed"]) if row["check"] == "count" else 0.0)
        face_value = printed_value(row["printed"])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    row["value"] = float(row["value"])
    if "options" in row:
        row["options"] = MappingProxyType(row["options"])
    if "input" in row:
        row["input"] = tuple(row["input"])
    claim = Claim(paper=key, **row)
    for broken in contradictions(claim, face_value):
        raise DataError(f"{where}: {broken}")
    return claim


def _refuse_unknown(where: str, row: Mapping[str, Any], known: list[str]) -> None:
    for name in row:
        if name not in known:
            raise DataError(f"{where}: no field '{name}'{nearest(name, known)}")
