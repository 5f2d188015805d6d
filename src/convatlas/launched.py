"""Which of several processes this is, as torchrun and its like say in the environment."""

import os

from convatlas.errors import UsageError

SHARED = ("train", "resume")  # the verbs that several processes may run together


def process_count() -> int:
    """Return how many processes were started together; 1 where this one is alone."""
    return _number("WORLD_SIZE", 1) if "RANK" in os.environ else 1


def process_number() -> int:
    """Return which of them this is, from 0; the first is the main one."""
    return _number("RANK", 0) if process_count() > 1 else 0


def alone_only(what: str) -> None:
    """Refuse what several processes cannot do together, and would do once each.

    Raises:
        UsageError: several processes were started.
    """
    if (count := process_count()) > 1:
        raise UsageError(
            f"{what} runs in one process, and {count} were started together; "
            f"{' and '.join(f'`{verb}`' for verb in SHARED)} share a run out among processes"
        )


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, default))
    except ValueError:
        return default
