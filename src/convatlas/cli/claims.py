"""`convatlas claims`: every published figure beside ours."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import typer

from convatlas.atlas.claim_text import STATUS_WORDS
from convatlas.atlas.compare import CHANGED, compare_all, counted, indexed, summarise
from convatlas.atlas.index import read_index
from convatlas.claims.claim import Claim
from convatlas.claims.loader import find_claims, load_claims
from convatlas.cli.claim_rows import say_claims
from convatlas.cli.output import print_json, say
from convatlas.errors import UnknownNameError, nearest


def claims_command(
    names: list[str] | None = typer.Argument(
        None, help="Networks, patterns such as 'mobile*', or papers; all if not given."
    ),
    recount: bool = typer.Option(
        False, "--recount", help="Count every network again instead of reading the index."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """Compare published figures with counted ones: holds, differs (why) or not checked (why)."""
    rows = compare_all(_chosen(names or ()), counted if recount else indexed)
    summary = summarise(rows)
    if json:
        print_json({"rows": [row.to_dict() for row in rows], "summary": summary})
    else:
        say_claims(rows)
        say()
        say(", ".join(f"{summary[status]} {word}" for status, word in STATUS_WORDS.items()))
    if summary[CHANGED]:
        raise typer.Exit(1)


def _chosen(patterns: Sequence[str]) -> Sequence[Claim]:
    """The rows of networks whose name fits a pattern, or of a paper where no network's does."""
    everything = load_claims()
    wanted: set[str] = set()
    for pattern in patterns:
        names = {c.model for c in everything if fnmatchcase(c.model, pattern)}
        names = names or {c.model for c in everything if c.paper == pattern}
        if not names and pattern not in read_index():
            known = {c.model for c in everything} | {c.paper for c in everything}
            raise UnknownNameError(f"claims: no figures of '{pattern}'{nearest(pattern, known)}")
        wanted |= names
    return find_claims(wanted) if patterns else everything
