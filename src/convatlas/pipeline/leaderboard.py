"""The leaderboard: a list of candidates that prints as a table and becomes a data frame."""

from typing import TYPE_CHECKING, Any

from convatlas.errors import ConvatlasError
from convatlas.pipeline.config import Trial
from convatlas.tables import html_table, plain_lines
from convatlas.text import format_number

if TYPE_CHECKING:
    import pandas

COLUMNS = ("model", "options", "input", "params", "macs", "latency", "accuracy", "status", "reason")
NUMBERS = ("input", "params", "macs", "latency", "accuracy")


class Leaderboard(list[Trial]):
    """Every candidate with its cost, accuracy and outcome; the chosen one first."""

    def to_frame(self) -> "pandas.DataFrame":
        """A pandas frame: one row a candidate, one column a field, plain numbers in SI units.

        Raises:
            ConvatlasError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConvatlasError(
                "leaderboard.to_frame: needs pandas, which is not installed: pip install pandas"
            ) from None
        columns = list(Trial.model_fields)
        return pandas.DataFrame([entry.model_dump() for entry in self], columns=columns)

    def __str__(self) -> str:
        return "\n".join(plain_lines(self._rows(), COLUMNS, NUMBERS))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self._rows(), COLUMNS, NUMBERS)

    def _rows(self) -> list[tuple[str, ...]]:
        return [_row(entry) for entry in self]


def _row(entry: Trial) -> tuple[str, ...]:
    return (
        entry.model,
        _options(entry.options),
        str(entry.size),
        format_number(entry.params),
        format_number(entry.macs),
        format_number(entry.latency_s, "s"),
        "-" if entry.accuracy is None else f"{entry.accuracy:.1%}",
        entry.status,
        entry.reason,
    )


def _options(options: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())
