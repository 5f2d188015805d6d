"""The figure that decides between networks: how it compares and how it is printed."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A figure of merit on held-out data.

    Args:
        key: its name in code, logs and JSON, such as `accuracy` or `mae_kmh`.
        words: its name for people.
        unit: printed behind the value; `%` prints a fraction of 0..1 as percent.
        higher_is_better: whether the larger of two values wins.
    """

    key: str
    words: str
    unit: str = ""
    higher_is_better: bool = True

    @property
    def is_fraction(self) -> bool:
        """Whether values lie in 0..1 and are printed as percent."""
        return self.unit == "%"

    def rank(self, value: float | None) -> float:
        """Return a number that sorts values from worst to best; None and NaN are worst."""
        if value is None or not math.isfinite(value):
            return -math.inf
        return value if self.higher_is_better else -value

    def text(self, value: float | None, digits: int = 1) -> str:
        """Return the value as people read it; a dash for None.

        Args:
            digits: behind the point of a percentage; other values have three more in all.
        """
        if value is None:
            return "-"
        if self.is_fraction:
            return f"{value:.{digits}%}"
        return f"{value:.{digits + 3}g} {self.unit}".rstrip()


ACCURACY = Metric("accuracy", "accuracy", "%")
BALANCED_ACCURACY = Metric("balanced_accuracy", "balanced accuracy", "%")
