"""Options that several verbs of a run share."""

from typing import Any

import typer


def moved_data() -> Any:
    """`--data DIR`, for a run whose images are no longer where they were."""
    return typer.Option(
        None,
        "--data",
        help="Where the data that the run was made from lies now, if it moved.",
        metavar="DIR",
    )
