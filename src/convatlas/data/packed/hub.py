"""A data set of images by its name on the Hugging Face hub: `hf:NAME`, fetched by `datasets`.

`datasets` keeps what it fetched, so the second use needs no internet connection. Since its
version 4 it executes no code of a data set.
"""

import re
from pathlib import Path
from typing import Any

from convatlas.data.names import printable, printable_few
from convatlas.data.packages import needed
from convatlas.data.packed.table_rows import Rows, TableRows
from convatlas.data.packed.tables import list_rows
from convatlas.data.sources.listing import Listing
from convatlas.data.sources.split_names import split_named
from convatlas.errors import DataError

PREFIX = "hf:"
NAME = re.compile(r"hf:(?P<name>[^@#]+)(?:#(?P<config>[^@#]+))?(?:@(?P<revision>[^@#]+))?")


def is_hub_name(source: str | Path) -> bool:
    """Return whether a source names a data set on the hub."""
    return str(source).startswith(PREFIX)


def list_hub(source: str) -> Listing:
    """Load a data set, from the hub the first time, and return its images.

    Args:
        source: `hf:NAME`, `hf:NAME#CONFIGURATION`, `hf:NAME@REVISION` or both in this order.

    Raises:
        DataError: there is no such data set, it cannot be fetched, or holds no images with classes.
    """
    match = NAME.fullmatch(source)
    if match is None:
        raise DataError(f"{printable(source)}: must be hf:NAME, or hf:NAME#CONFIGURATION@REVISION")
    splits = _load(source, match)
    rows: dict[str, tuple[Rows, str | None]] = {}
    ignored = []
    for name, part in splits.items():
        split = split_named(name)
        if split is None and len(splits) > 1:
            ignored.append((name, "a split that is none of train, validation and test"))
        else:
            # A selection of rows is made whole; what was loaded from files stays on the disk.
            table = part.data.table if part._indices is None else part.flatten_indices().data.table
            rows[name] = (TableRows(table), split if len(splits) > 1 else None)
    if not rows:
        raise DataError(
            f"{printable(source)}: must have a split for training, got {printable_few(splits)}"
        )
    listing = list_rows(printable(source), Path.cwd(), rows)
    listing.ignored.extend(ignored)
    return listing


def _load(source: str, match: re.Match[str]) -> dict[str, Any]:
    datasets = needed("datasets", "data sets by name", "datasets", "hub")
    try:
        return dict(
            datasets.load_dataset(match["name"], match["config"], revision=match["revision"])
        )
    except Exception as error:  # connections, names and files fail in many ways
        why = printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise DataError(f"{printable(source)}: cannot be loaded: {why[:300]}") from None
