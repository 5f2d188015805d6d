"""File names as they are printed: one name, one line, whatever characters it holds."""

from collections.abc import Iterable


def shown(name: object) -> str:
    """The name with newlines, control characters and undecodable bytes escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(name)
    )


def shown_few(names: Iterable[object], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    listed = [shown(name) for name in names]
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
