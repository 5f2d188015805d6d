"""The options of forecasting, checked before any work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.data.graphs.sensor_graph import SYMMETRISE
from convatlas.data.graphs.series_data import MAX_STEPS
from convatlas.errors import UsageError, nearest

COUNTS = ("history", "horizon")
TEXTS = ("unit", "value", "graph", "symmetrise")
KNOWN = (*COUNTS, "step_minutes", "zeros_missing", *TEXTS)


def check_series_options(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be used.

    Raises:
        UsageError: unknown, or a value that is none.
    """
    for name, value in options.items():
        if name not in KNOWN:
            raise UsageError(
                f"forecast: no option '{name}'{nearest(name, KNOWN)}; it takes {', '.join(KNOWN)}"
            )
        if name in COUNTS and (type(value) is not int or not 1 <= value <= MAX_STEPS):
            raise UsageError(
                f"forecast: {name} must be a whole number from 1 to {MAX_STEPS}, got {value!r}"
            )
        if name == "step_minutes" and (type(value) not in (int, float) or not value > 0):
            raise UsageError(f"forecast: step_minutes must be a number above 0, got {value!r}")
        if name == "zeros_missing" and not isinstance(value, bool):
            raise UsageError(f"forecast: zeros_missing must be true or false, got {value!r}")
        if name in TEXTS and not isinstance(value, str):
            raise UsageError(f"forecast: {name} must be text, got {value!r}")
    if options.get("symmetrise", "no") not in SYMMETRISE:
        raise UsageError(
            f"forecast: symmetrise must be one of {', '.join(SYMMETRISE)}, got "
            f"{options['symmetrise']!r}"
        )


def series_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the data store them: a path is absolute."""
    given = {key: value for key, value in options.items() if value is not None}
    if "graph" in given:
        given["graph"] = str(Path(given["graph"]).resolve())
    return given
