"""How well speech is understood and how it sounds: STOI and PESQ, where their packages are there.

Both compare speech with the true voice. STOI (0 to 1) foretells the share of words understood; PESQ
foretells the grade of listeners, from 1 (bad) to 4.5. They cost more than the network itself, so a
split is judged by some evenly spaced mixtures.

Source: Taal, Hendriks, Heusdens, Jensen, 2011, doi:10.1109/TASL.2011.2114881 (STOI, by pystoi);
    ITU-T P.862 and P.862.2 (PESQ, by the package pesq).
"""

import math
import warnings
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import numpy as np
from torch import Tensor

from convatlas.metric import Metric

STOI, PESQ = Metric("stoi", "STOI"), Metric("pesq", "PESQ")
METRICS = (STOI, PESQ)
BEFORE = "{}_before"  # the same figure of the mixture that the voice was taken out of
MIN_STOI_HZ = 8000  # its bands reach 4.3 kHz; of a lower rate half of them are empty
PESQ_BANDS = {8000: "nb", 16_000: "wb"}  # the rates that the standard knows
MAX_JUDGED = 50  # mixtures: about 0.3 s of a core each


class SpeechQuality:
    """Gathers the figures of voices, and of the mixtures they were taken out of.

    Args:
        rate_hz: of all signals. STOI needs 8 kHz or more, PESQ 8 or 16 kHz; another rate has none.
    """

    def __init__(self, rate_hz: int):
        self._rate_hz = rate_hz
        self._found: dict[str, list[float]] = {}

    def add(self, mixture: Tensor, estimate: Tensor, voice: Tensor) -> None:
        """Measure one voice; a figure that the signals are too short or too silent for is left out.

        Shape: each (samples,)
        """
        before = speech_figures(mixture, voice, self._rate_hz)
        after = speech_figures(estimate, voice, self._rate_hz)
        for key in before.keys() & after.keys():  # both, so that their means tell of the same
            self._found.setdefault(key, []).append(after[key])
            self._found.setdefault(BEFORE.format(key), []).append(before[key])

    def means(self) -> dict[str, float]:
        """Return the means over the voices: `stoi`, `stoi_before`, `pesq`, `pesq_before`."""
        keys = [name for m in METRICS for name in (m.key, BEFORE.format(m.key))]
        found = self._found
        return {key: sum(found[key]) / len(found[key]) for key in keys if key in found}


def speech_figures(estimate: Tensor, voice: Tensor, rate_hz: int) -> dict[str, float]:
    """Return `stoi` and `pesq` of an estimated voice, each where package, rate and length allow it.

    Shape: each (samples,)
    """
    heard, true = (x.detach().cpu().double().numpy() for x in (estimate, voice))
    found = {STOI.key: _stoi(heard, true, rate_hz), PESQ.key: _pesq(heard, true, rate_hz)}
    return {key: value for key, value in found.items() if value is not None}


def judged_places(count: int) -> set[int]:
    """Return the places of the mixtures that are judged: evenly spaced, all where they are few."""
    if count <= MAX_JUDGED:
        return set(range(count))
    return {place * count // MAX_JUDGED for place in range(MAX_JUDGED)}


def quality_lines(figures: Mapping[str, float], mixtures: int) -> list[str]:
    """Return a sentence with the figures, none where there are none."""
    said = [
        f"{metric.words} {figures[metric.key]:.2f} (the mixtures themselves "
        f"{figures[BEFORE.format(metric.key)]:.2f})"
        for metric in METRICS
        if metric.key in figures
    ]
    judged = min(mixtures, MAX_JUDGED)
    return [f"speech, by {judged} of {mixtures:,} mixtures: {', '.join(said)}"] if said else []


def _stoi(heard: np.ndarray, true: np.ndarray, rate_hz: int) -> float | None:
    package = _package("pystoi")
    if package is None or rate_hz < MIN_STOI_HZ:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # of less speech than it needs
            value = float(package.stoi(true, heard, rate_hz))
    except (RuntimeWarning, ValueError):
        return None
    return value if math.isfinite(value) else None


def _pesq(heard: np.ndarray, true: np.ndarray, rate_hz: int) -> float | None:
    package = _package("pesq")
    if package is None or rate_hz not in PESQ_BANDS:
        return None
    try:
        value = float(package.pesq(rate_hz, true, heard, PESQ_BANDS[rate_hz]))
    except (package.PesqError, ValueError):  # too short, or no speech in it
        return None
    return value if math.isfinite(value) else None


def _package(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ImportError:
        return None
