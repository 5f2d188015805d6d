"""What the deep files of a data set mean by black and white, settled from its training images."""

from collections.abc import Sequence

from convatlas.data.images.deep_values import (
    DEPTHS,
    SIXTEEN_BITS,
    UnknownRange,
    Values,
    check_window,
    usual_window,
)
from convatlas.data.images.stored_reading import Reading, Window

DARK = 16  # a file all below this fraction of white is dark, or of another depth


def settle_reading(reading: Reading, train: Sequence[Values]) -> tuple[Reading, list[str]]:
    """Return the reading with the windows of this data set, and a line for people on each.

    Args:
        train: what the training files deeper than 8 bits hold.
    """
    open_ones = [values for values in train if not values.stated]
    whole = [values for values in open_ones if values.whole]
    fractions = [values for values in open_ones if not values.whole]
    if reading.value_range is not None:
        low, high = reading.value_range
        lines = [f"{_files(open_ones)}: {low:g} is black and {high:g} is white (--value-range)"]
        return reading, lines if open_ones else []
    lines = []
    if whole:
        window, line = _whole_window(whole)
        reading = reading.model_copy(update={"whole": window})
        lines.append(line)
    if fractions:
        window = _float_window(fractions)
        reading = reading.model_copy(update={"floats": window})
        lines.append(
            f"{_files(fractions)} hold fractions: {window[0]:g} is black and {window[1]:g} is "
            "white; --value-range sets another range"
        )
    return reading, lines


def unexplained(values: Values | None, reading: Reading) -> str | None:
    """Return why a file's values cannot be read so; None where they can."""
    if values is None or values.stated or reading.value_range is not None:
        return None
    try:
        known = reading.whole if values.whole else reading.floats
        if known is None:
            usual_window(values.low, values.high, fractions=not values.whole)
        else:
            check_window(values.low, values.high, known)
    except UnknownRange as error:
        return str(error)
    return None


def _whole_window(files: Sequence[Values]) -> tuple[Window, str]:
    low, high = min(v.low for v in files), max(v.high for v in files)
    if low < 0 or high > SIXTEEN_BITS[1]:
        return (low, high), (
            f"{_files(files)} hold whole numbers from {low:.0f} to {high:.0f}: these are black "
            "and white; --value-range sets another range"
        )
    # A PNG that states fewer bits should have scaled its values up to 16; not all do.
    stated = [v.bits for v in files if v.bits is not None and high <= 2**v.bits - 1]
    needed = max([int(high).bit_length(), *stated])
    depth = next(bits for bits in DEPTHS if bits >= needed)
    white = 2**depth - 1
    line = f"{_files(files)} hold values of {depth} bits: 0 is black and {white:,} is white"
    dark = sum(v.high < white / DARK for v in files)
    if dark:
        line += (
            f"; {dark} of them stay below {white // DARK:,}, so they are dark, or of another "
            "depth: then convert them"
        )
    return (0.0, float(white)), line


def _float_window(files: Sequence[Values]) -> Window:
    low, high = min(v.low for v in files), max(v.high for v in files)
    for window in ((0.0, 1.0), (0.0, 255.0)):
        if window[0] <= low and high <= window[1]:
            return window
    return (low, high if high > low else low + 1)


def _files(files: Sequence[Values]) -> str:
    return "1 file of over 8 bits" if len(files) == 1 else (f"{len(files):,} files of over 8 bits")
