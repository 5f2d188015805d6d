"""What rivals will reach by the end, from what they reached so far and from recorded curves.

The errors of all rivals are compared with what their recorded curves say for the images that they
have seen. What they have in common tells how hard the data are; what is left tells how far a rival
is above or below its curve, and counts the more, the surer it was measured and the less there is
still to come.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from convatlas.search.known_curves import Expected

CURVES_SD = 0.1  # of the logarithm of an error, between a recorded curve and the same on other data
AHEAD_SD = 0.06  # of the same, for each doubling of the images seen that is still to come
MIN_ERROR = 1e-3


@dataclass(frozen=True)
class Rival:
    """One that trains, and what was measured of it.

    Args:
        error: share of wrong answers on `validated` examples.
        seen: training images so far.
        final: training images by the end, if it goes on to it.
    """

    expected: Expected
    error: float
    validated: int
    seen: float
    final: float

    @property
    def log_error(self) -> float:
        """The logarithm of its error; nothing wrong in n counts as half an example."""
        return math.log(max(self.error, 0.5 / self.validated, MIN_ERROR))

    @property
    def log_sd(self) -> float:
        """The standard error of that, from the number of examples."""
        p = min(max(self.error, 0.5 / self.validated), 1 - 0.5 / self.validated)
        return math.sqrt((1 - p) / (p * self.validated))


@dataclass(frozen=True)
class Forecast:
    """The error expected at the end and the standard deviation of its logarithm."""

    error: float
    log_sd: float


def foresee(rivals: Sequence[Rival]) -> list[Forecast]:
    """Return what each is expected to reach by the end."""
    above = [rival.log_error - math.log(_by_curve(rival, rival.seen)) for rival in rivals]
    common = mean(above)
    found = []
    for rival, own in zip(rivals, above, strict=True):
        doublings = max(0.0, math.log2(max(rival.final, 1) / max(rival.seen, 1)))
        doubt = rival.log_sd**2 + (AHEAD_SD * doublings) ** 2
        trust = CURVES_SD**2 / (CURVES_SD**2 + doubt)
        end = math.log(_by_curve(rival, rival.final)) + common + trust * (own - common)
        sd = math.sqrt(CURVES_SD**2 * doubt / (CURVES_SD**2 + doubt))
        found.append(Forecast(math.exp(min(0.0, end)), sd))
    return found


def _by_curve(rival: Rival, images: float) -> float:
    return max(MIN_ERROR, rival.expected.error(images))


def clear(first: Forecast, second: Forecast, times: float = 1.0) -> bool:
    """Return whether the difference between two is larger than its standard error.

    Args:
        times: how many standard errors.
    """
    sd = math.hypot(first.log_sd, second.log_sd)
    return math.log(second.error / first.error) > times * sd
