"""Options that several verbs of a run share."""

from typing import Any

import typer

from convatlas.cli.numbers import count_option


def moved_data() -> Any:
    """Make `--data DIR`, for a run whose images are no longer where they were."""
    return typer.Option(
        None,
        "--data",
        help="Where the data of the run is now, if it was moved.",
        metavar="DIR",
    )


def max_pixels_option() -> Any:
    """Make `--max-pixels N`, for images above the limit that the run was made with."""
    return count_option(
        "--max-pixels",
        help="Maximum number of pixels in one image; the run's own limit if not given.",
    )
