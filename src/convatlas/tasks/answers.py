"""What the answers of every task have in common: an evaluation and a prediction."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Table = tuple[Sequence[str], Sequence[Sequence[Any]], Sequence[str]]  # headings, rows, right ones


class Evaluation(Protocol):
    """The answers on labelled data beside the truth.

    Attributes:
        figures: under the metric's key and those of further figures.
        warnings: what was found in the data, a sentence for each kind.
        seen: examples among the data that the network was trained on.
    """

    @property
    def figures(self) -> Mapping[str, float]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def seen(self) -> int: ...

    def __len__(self) -> int: ...

    def with_findings(self, warnings: Sequence[str], seen: int) -> "Evaluation":
        """Return the same answers with what was found in the data."""
        ...

    def record(self) -> dict[str, Any]:
        """Return what the figures must be read beside, for `run.json`.

        It holds at least `words`, the result in one line, and `doubts`, a sentence for each reason
        not to trust it; where it is known `interval`, in which the metric lies with 95 %
        confidence.
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return everything for `evaluate --json`."""
        ...

    def table(self) -> Table:
        """Return a table for the screen, finer than the figures."""
        ...

    def lines(self) -> list[str]:
        """Return what is said below the table."""
        ...


class Prediction(Protocol):
    """The answer for one input; `error` says why there is none."""

    @property
    def file(self) -> str: ...
    @property
    def error(self) -> str | None: ...

    def cells(self, top: int) -> list[str]:
        """Return the answer as cells of a CSV file, under `Task.csv_columns`."""
        ...

    def rows(self, top: int) -> list[tuple[str | None, ...]]:
        """Return the answer as rows of a table on the screen, under `Task.columns`."""
        ...
