"""Published figures beside ours, as `claims` and `show` print them."""

from collections.abc import Sequence

from convatlas.atlas.claim_text import STATUS_WORDS, circumstances
from convatlas.atlas.compare import Row
from convatlas.cli.output import on_terminal, say, table

COLUMNS = ("model", "quantity", "published", "ours", "status", "for", "where", "why")


def say_claims(rows: Sequence[Row]) -> None:
    """Print the rows as a table.

    In a pipe each row ends with its reason, so that it can be searched; on a terminal, where long
    reasons would squeeze the numbers, they stand once each below the table, by number.
    """
    reasons = list(dict.fromkeys(row.why for row in rows if row.why))
    numbers = {why: f"({number})" for number, why in enumerate(reasons, start=1)}
    short = on_terminal()
    table(
        [(*_cells(row), (numbers.get(row.why) if short else row.why) or "-") for row in rows],
        COLUMNS,
        right=("published", "ours"),
    )
    if short and reasons:
        say()
        for why, number in numbers.items():
            say(f"{number} {why}")


def _cells(row: Row) -> tuple[str | None, ...]:
    claim = row.claim
    return (
        claim.model,
        claim.quantity,
        claim.printed,
        None if row.ours is None else f"{row.ours:,}",
        STATUS_WORDS[row.status],
        circumstances(claim) or None,
        f"{claim.paper}, {claim.where}",
    )
