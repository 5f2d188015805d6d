"""Figures as a person reads them: 3.50 M, 12.3 ms, 4.8 MB, 71.8 %, 3x224x224."""

from collections.abc import Sequence
from typing import Any

_STEPS = {
    "": ((1e9, " G"), (1e6, " M"), (1e3, " k")),
    "bytes": ((1e9, " GB"), (1e6, " MB"), (1e3, " kB")),
    "s": ((1.0, " s"), (1e-3, " ms"), (1e-6, " µs")),
}


def format_number(value: float | None, unit: str = "") -> str:
    """Write a figure with three digits or more and its unit, or a dash for None.

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


def count_text(count: int, many: str) -> str:
    """Write how many there are of a thing: `1 box`, `2,000 boxes`.

    Args:
        many: the thing in its plural, which ends in s.
    """
    one = many[:-2] if many.endswith(("xes", "sses")) else many[:-1]
    return f"{count:,} {one if count == 1 else many}"


def shape_text(sizes: Sequence[Any]) -> str:
    """Write the sizes of a tensor as `3x224x224`, and several shapes as `3x8x8 and 5`."""
    if sizes and isinstance(sizes[0], list | tuple):
        return " and ".join(map(shape_text, sizes))
    return "x".join(map(str, sizes))
