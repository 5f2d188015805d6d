"""What the data of every task have, whatever comes in and whatever is asked about it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from convatlas.data.scan_report import ScanReport


class Split(Protocol):
    """A sequence of examples with their answers.

    Attributes:
        files: the examples as people know them: a path relative to the source, or a name.
    """

    @property
    def files(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Any:
        """Return one example as it lies in its file."""
        ...

    def subset(self, indices: Iterable[int]) -> "Split":
        """Return the examples at these places, in this order; nothing is read or copied."""
        ...


class Dataset(Protocol):
    """An opened source.

    Attributes:
        name: short, for titles.
        source: where it lies, in its stored form (`convatlas.text.true_name` gives the path).
        seed: of the split.
        scan: what was found before training.
        splits: under `train`, `val` and `test`.
        digests: what the content of each file is known by; none for a split that was stored.
    """

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def scan(self) -> ScanReport: ...
    @property
    def splits(self) -> Mapping[str, Split]: ...
    @property
    def digests(self) -> Mapping[str, str]: ...

    def facts(self) -> dict[str, Any]:
        """Return all that a network and its predictor have to know of the data, for JSON."""
        ...

    def summary(self) -> str:
        """Return what is in it in a few words: `10 classes, 28 x 28 pixels, 1 channel`."""
        ...

    def save(self, path: Path) -> None:
        """Write what `Task.reopen` needs to open exactly these splits again."""
        ...
