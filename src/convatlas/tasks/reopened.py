"""Stored data of a run, held against what the run says of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from convatlas.data.dataset import Dataset
from convatlas.errors import DataError
from convatlas.text import printable

D = TypeVar("D", bound=Dataset)


def agreeing(data: D, stored: Path, facts: Mapping[str, Any]) -> D:
    """Return reopened data that are those of the run.

    Raises:
        DataError: the stored split says otherwise than the facts.
    """
    found, known = data.facts(), dict(facts)
    if found != known:
        keys = sorted(k for k in found.keys() | known.keys() if found.get(k) != known.get(k))
        raise DataError(
            f"{printable(stored)}: says otherwise than the run.json beside it, of {', '.join(keys)}"
        )
    return data


def of_same_classes(data: D, stored: Path, facts: Mapping[str, Any]) -> D:
    """Return reopened data whose classes are those of the run.

    Raises:
        DataError: they are others.
    """
    if data.facts()["classes"] != facts["classes"]:
        raise DataError(f"{printable(stored)}: has other classes than the run.json beside it")
    return data
