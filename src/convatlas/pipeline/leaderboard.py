"""The leaderboard: a list of candidates that prints as a table and becomes a data frame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from convatlas.errors import ConvatlasError
from convatlas.metric import Metric
from convatlas.pipeline.config import Trial
from convatlas.tables import html_table, plain_lines
from convatlas.text import format_number

if TYPE_CHECKING:
    import pandas

NUMBERS = ("input", "params", "macs", "latency")


class Leaderboard(list[Trial]):
    """Every candidate with its cost, figures and outcome; the chosen one first.

    Args:
        metric: that decided between them.
    """

    def __init__(self, trials: Iterable[Trial], metric: Metric):
        super().__init__(trials)
        self.metric = metric

    def to_frame(self) -> "pandas.DataFrame":
        """Return a pandas frame: a row a candidate, a column a field, plain numbers in SI units.

        Each figure has a column of its own, the metric's where nothing was trained, too.

        Raises:
            ConvatlasError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ConvatlasError(
                "leaderboard.to_frame: needs pandas, which is not installed: pip install pandas"
            ) from None
        further = [key for entry in self for key in entry.figures]
        figures = list(dict.fromkeys([self.metric.key, *further]))
        columns = [name for name in Trial.model_fields if name != "figures"]
        place = columns.index("validated")
        columns = [*columns[:place], *figures, *columns[place:]]
        rows = [{**entry.model_dump(), **entry.figures} for entry in self]
        return pandas.DataFrame(rows, columns=columns)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the lines for JSON; the metric stands under its own name, too."""
        keys = (
            "model",
            "options",
            "example",
            "input",
            "params",
            "macs",
            "latency_s",
            "figures",
            "status",
        )
        further = ("validated", "reason")
        return [
            {
                **{key: getattr(entry, key) for key in keys},
                self.metric.key: entry.value(self.metric),
                **entry.example,
                **{key: getattr(entry, key) for key in further},
            }
            for entry in self
        ]

    def __str__(self) -> str:
        return "\n".join(plain_lines(self._rows(), *self._columns()))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self._rows(), *self._columns())

    def _rows(self) -> list[tuple[str, ...]]:
        return [_row(entry, self.metric) for entry in self]

    def _columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The headings, and those that are flush right."""
        numbers = (*NUMBERS, self.metric.words)
        return ("model", "options", *numbers, "status", "reason"), numbers


def _row(entry: Trial, metric: Metric) -> tuple[str, ...]:
    return (
        entry.model,
        _options(entry.options),
        entry.input,
        format_number(entry.params),
        format_number(entry.macs),
        format_number(entry.latency_s, "s"),
        metric.text(entry.value(metric)),
        entry.status,
        entry.reason,
    )


def _options(options: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in options.items())
