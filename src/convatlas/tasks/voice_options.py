"""Options of every task on mixtures of voices: numbers within limits, and words of a few."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from convatlas.data.audio.sound_file import MAX_RATE_HZ, MIN_RATE_HZ
from convatlas.data.audio.voice_data import MAX_VOICES
from convatlas.errors import UsageError, nearest

LIMITS = {  # of an option that is a number: from, to
    "rate": (MIN_RATE_HZ, MAX_RATE_HZ),
    "voices": (2, MAX_VOICES),
    "level_db": (0.0, 40.0),
    "seconds": (0.1, 60.0),
    "max_seconds": (0.05, 1e6),
}
WHOLE = ("rate", "voices")
SPEAKING = re.compile(r"[^/\\\x00-\x1f]+")  # files are named after it


def check_voice_options(
    options: Mapping[str, Any],
    limits: Mapping[str, tuple[float, float]],
    words: Mapping[str, Sequence[str]] | None = None,
    names: Sequence[str] = (),
) -> None:
    """Refuse what no option can be, before anything is read.

    Args:
        limits: of each option that is a number: from, to.
        words: that each further option may be.
        names: options that are a name, such as a folder's.

    Raises:
        UsageError: names the option.
    """
    words = words or {}
    for name, value in options.items():
        if name in names:
            if not isinstance(value, str) or not value or not SPEAKING.fullmatch(value):
                raise UsageError(f"{name} must be a name without / and \\, got {value!r}")
            continue
        if name in words:
            if value not in words[name]:
                raise UsageError(f"{name} must be one of {', '.join(words[name])}, got {value!r}")
            continue
        if name not in limits:
            known = (*limits, *words, *names)
            raise UsageError(
                f"'{name}' is no option here{nearest(name, known)}; there are {', '.join(known)}"
            )
        low, high = limits[name]
        number = isinstance(value, int | float) and low <= value <= high
        if not number or (name in WHOLE and value != round(value)):
            raise UsageError(f"{name} must be from {low:g} to {high:,.12g}, got {value!r}")


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked options under the names that opening takes them by."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, int | float):
            value = round(value) if name in WHOLE else float(value)
        given["rate_hz" if name == "rate" else name] = value
    return given


def only_max_seconds(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one option that a run may be opened with, where it is given.

    Raises:
        UsageError: another one is given.
    """
    given = {key: value for key, value in options.items() if value is not None}
    for name in given:
        if name != "max_seconds":
            raise UsageError(f"'{name}' is no option here; there is max_seconds")
    check_voice_options(given, LIMITS)
    return given
