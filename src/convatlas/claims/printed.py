"""What a printed figure says: its number, the unit it is printed in, and how far it is rounded."""

import re

SCALES = {
    "": 1.0,
    "%": 1.0,
    "K": 1e3,
    "M": 1e6,
    "B": 1e9,
    "G": 1e9,
    "KB": 1e3,
    "MB": 1e6,
    "ms": 1e-3,
    "s": 1.0,
}
_FORM = re.compile(
    r"(?P<digits>\d[\d,]*(?:\.(?P<decimals>\d+))?)(?:x10\^(?P<power>\d+))?\s?(?P<unit>[A-Za-z%]*)"
)


def _match(printed: str) -> re.Match[str]:
    match = _FORM.fullmatch(printed)
    if match is None or match["unit"] not in SCALES:
        units = " ".join(unit for unit in SCALES if unit)
        raise ValueError(
            f"printed: must be a number such as 3.4M, 3.8x10^9, 75ms or 6.43% (units: {units}), "
            f"got '{printed}'"
        )
    return match


def printed_value(printed: str) -> float:
    """Read the figure in plain numbers, seconds, bytes (MB = 10^6) or percent.

    Raises:
        ValueError: not a number, or a unit that is not known.
    """
    match = _match(printed)
    number = float(match["digits"].replace(",", ""))
    return number * 10.0 ** int(match["power"] or 0) * SCALES[match["unit"]]


def half_unit(printed: str) -> float:
    """Return half a unit of the last printed digit, relative to it: 3.4M -> 0.05 / 3.4.

    Raises:
        ValueError: not a number, a unit that is not known, or zero.
    """
    match = _match(printed)
    number = float(match["digits"].replace(",", ""))
    if number == 0:
        raise ValueError(f"printed: must not be zero where a tolerance follows, got '{printed}'")
    return 0.5 * 10.0 ** -len(match["decimals"] or "") / number
