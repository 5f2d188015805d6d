"""How many files of a source may be broken."""

from convatlas.data.names import printable_few
from convatlas.data.sources.listing import Listing
from convatlas.errors import DataError


def count_named(listing: Listing) -> int:
    """Count everything that the source names as a file, usable or not."""
    return len(listing.items) + len(listing.broken)


def check_share(
    source: str, broken: list[tuple[str, str]], total: int, most: float, what: str = "files"
) -> None:
    """Stop where more than the stated share of the files is broken.

    Args:
        what: is counted, if not files.

    Raises:
        DataError: with the first few files and the way out.
    """
    if len(broken) <= most * total:
        return
    named = printable_few(f"{file} ({reason})" for file, reason in broken)
    raise DataError(
        f"{source}: at most {most:.0%} of the {what} may be broken, got {len(broken)} of "
        f"{total}: {named}; fix or remove them, or allow more with --max-broken"
    )
