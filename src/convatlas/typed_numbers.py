"""Numbers as people type them: `1M`, `10ms`, `2MB`, `1h30m`; on the command line and in Python.

The way back, `3.50 M` and `12.3 ms`, is `convatlas.text.format_number`.
"""

import math
import re
from collections.abc import Mapping

from convatlas.errors import UsageError

_COUNTS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_SECONDS = {"": 1.0, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_SECONDS |= {"m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1.0, "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9}
_BYTES |= {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}

_NUMBER = r"(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_PART = re.compile(rf"({_NUMBER})\s*([A-Za-zµ]*)\s*")


def parse_count(text: str) -> float:
    """Parse `1M`, `50k`, `2.5M`, `3e8`, `1_000_000`.

    Raises:
        UsageError: not a positive, finite number with a unit of counts.
    """
    return _parse(text, "number", _COUNTS, "50k or 2.5M")


def parse_seconds(text: str) -> float:
    """Parse `500us`, `10ms`, `2s`, `10m`, `2h`, `1h30m`; a bare number is seconds.

    Raises:
        UsageError: not a positive, finite time.
    """
    return _parse(text, "time", _SECONDS, "10ms, 90s or 1h30m", parts=4)


def parse_bytes(text: str) -> float:
    """Parse `2MB`, `300kB` (thousands), `1.5MiB` (1,024s); a bare number is bytes.

    Raises:
        UsageError: not a positive, finite size.
    """
    return _parse(text, "size", _BYTES, "300kB or 2MB")


def _parse(
    text: str, kind: str, units: Mapping[str, float], example: str, *, parts: int = 1
) -> float:
    stripped = text.strip()
    if stripped.startswith("-"):
        raise UsageError(f"a {kind} must be above zero, got '{text}'")
    found = [(m[1], m[2]) for m in _PART.finditer(stripped)]
    if _PART.sub("", stripped) or not 1 <= len(found) <= parts:
        raise UsageError(f"not a {kind}: '{text}'; write it like {example}")
    for _, unit in found:
        if unit not in units or (len(found) > 1 and not unit):
            raise UsageError(f"'{text}' is not a {kind}: {_unit_hint(unit, units, example)}")
    try:
        value = math.fsum(float(number) * units[unit] for number, unit in found)
    except OverflowError:
        value = math.inf
    if not 0 < value < math.inf:
        raise UsageError(f"a {kind} must be above zero and finite, got '{text}'")
    return value


def _unit_hint(unit: str, units: Mapping[str, float], example: str) -> str:
    if not unit:
        return f"each part needs a unit; write it like {example}"
    named = ", ".join(dict.fromkeys(u for u in units if u))
    return f"no unit '{unit}'; units are {named}"
