"""The check of an option that takes one of a few values."""

from collections.abc import Iterable
from typing import Any

from convatlas.errors import UsageError


def check_option(model: str, option: str, value: Any, allowed: Iterable[Any]) -> None:
    """Refuse a value that the network has no form for, saying which it has.

    Args:
        model: the class's name, for the message.

    Raises:
        UsageError: value is not among the allowed ones.
    """
    allowed = tuple(allowed)
    if value not in allowed:
        listed = ", ".join(str(a) for a in allowed)
        raise UsageError(f"{model}: {option} must be one of {listed}, got {value}")
