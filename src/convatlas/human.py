"""Figures as a person reads them: 3.50 M, 12.3 ms, 4.8 MB, 71.8 %."""

_STEPS = {
    "": ((1e9, " G"), (1e6, " M"), (1e3, " k")),
    "bytes": ((1e9, " GB"), (1e6, " MB"), (1e3, " kB")),
    "s": ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs")),
}


def human(value: float | None, unit: str = "") -> str:
    """Three digits or more, with the unit; a dash for what is not known.

    Args:
        value: bare count, bytes, seconds or percent.
        unit: `""`, `bytes`, `s` or `%`.
    """
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:g} %"
    for step, suffix in _STEPS[unit]:
        if abs(value) >= step:
            return f"{_digits(value / step)}{suffix}"
    return f"{value:g}{' ' + unit if unit else ''}"


def _digits(value: float) -> str:
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f}"
