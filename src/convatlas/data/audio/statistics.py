"""Figures of sounds: how long and how loud they are."""

from collections.abc import Callable
from math import log10

from torch import Tensor

from convatlas.data.statistics import Statistics, evenly_spaced, spread

CLIPPED = 0.999  # of full scale: samples there are most often cut off
QUIETEST = 1e-6  # of full scale, -120 dB: what digital silence is given


def sound_statistics(
    read: Callable[[int], Tensor], total: int, rate_hz: int, progress: Callable[[int, int], None]
) -> list[Statistics]:
    """Return seconds, level and peak in decibels of full scale, and the share of clipped samples.

    Of many sounds some evenly spaced ones are read.

    Args:
        read: gives the sound at a place. Shape: float (samples,)
    """
    places = evenly_spaced(total)
    seconds, levels, peaks, clipped = [], [], [], []
    for done, place in enumerate(places, 1):
        sound = read(place).double()
        seconds.append(sound.numel() / rate_hz)
        levels.append(_decibels(float(sound.square().mean().sqrt())))
        peaks.append(_decibels(float(sound.abs().max())))
        clipped.append(float((sound.abs() >= CLIPPED).double().mean()))
        progress(done, len(places))
    note = f"of {len(places):,} evenly spaced sounds" if len(places) < total else ""
    values = {
        "seconds": seconds,
        "level in dB": levels,
        "peak in dB": peaks,
        "share of clipped samples": clipped,
    }
    return [spread("sounds", values, note)]


def _decibels(amplitude: float) -> float:
    return 20 * log10(max(amplitude, QUIETEST))
