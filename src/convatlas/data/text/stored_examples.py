"""The stored split of texts: what opens the same splits again, and tells whether they are the same.

The texts themselves are not stored: the source is read again, and its splits held to the digests.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from convatlas.data.names import printable, true_name
from convatlas.data.scan_report import ScanReport
from convatlas.data.sources.stored_parts import FORMAT, checked_split
from convatlas.data.text.divide import digest, examples_digest
from convatlas.data.text.read_examples import Example
from convatlas.errors import DataError
from convatlas.replacing import replacing

PAIRS, TEXTS, LINES = "pairs", "texts", "lines"  # kinds of data


class ExampleSplit(Protocol):
    """A split of texts, whatever answers they have."""

    @property
    def examples(self) -> Sequence[Example]: ...


class ExampleData(Protocol):
    """Texts with their splits, and the options that they were opened with."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def options(self) -> Mapping[str, Any]: ...

    @property
    def splits(self) -> Mapping[str, ExampleSplit]: ...

    @property
    def scan(self) -> ScanReport: ...


class _Stored(BaseModel):
    """The whole file; keys that a newer version added are left alone."""

    model_config = ConfigDict(frozen=True)

    class Part(BaseModel):
        """One split: the digest of each first text, and that of all examples."""

        digests: list[str]
        content: str

    kind: str
    source: str
    seed: int
    options: dict[str, Any]
    splits: dict[str, Part] = Field(min_length=3)


Data = TypeVar("Data", bound=Any)


def save_examples(path: Path, kind: str, data: ExampleData) -> None:
    """Write what opens exactly these splits again as JSON, whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    stored = {
        "format": FORMAT,
        "kind": kind,
        "name": data.name,
        "source": data.source,
        "seed": data.seed,
        "options": dict(data.options),
        "scan": data.scan.to_dict(),
        "splits": {
            name: {
                "digests": [digest(each.fields[0]) for each in split.examples],
                "content": examples_digest(split.examples),
            }
            for name, split in data.splits.items()
        },
    }
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(stored, indent=1), encoding="utf-8")


def reopen_examples(
    stored: Path,
    kind: str,
    source: str | Path | None,
    opened: Callable[..., Data],
    what: str,
) -> Data:
    """Open the splits that `save_examples` wrote.

    Args:
        kind: of data, as they were saved.
        source: where the data lie now, if they moved.
        opened: opens a source with `seed`, `max_broken`, `options` and `progress`.
        what: the examples are called in a message.

    Raises:
        DataError: the file is damaged, or the data are gone or others.
    """
    known, scan = checked_split(
        stored, _Stored, lambda each: "" if each.kind == kind else f"kind must be '{kind}'"
    )
    place = Path(true_name(known.source) if source is None else source)
    data = opened(
        place,
        seed=known.seed,
        max_broken=1.0,
        options=known.options,
        progress=lambda done, total: None,
    )
    for name, split in data.splits.items():
        part = known.splits.get(name)
        if part is None or part.content != examples_digest(split.examples):
            raise DataError(f"{printable(place)}: its {what} are others than when the run was made")
    return replace(data, scan=scan)
