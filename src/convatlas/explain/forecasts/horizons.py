"""Errors of forecasts by horizon: sums that grow window by window, missing readings left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

USUAL_MINUTES = (15, 30, 60)
MIN_PERCENT_OF = 1e-6  # readings nearer to 0 have no error in percent


@dataclass(frozen=True)
class Errors:
    """Errors at one horizon, or over all.

    Args:
        mae: mean absolute error.
        rmse: root of the mean squared error.
        mape: mean absolute error as a fraction of the reading; NaN where all readings are 0.
        count: readings that were forecast.
    """

    mae: float
    rmse: float
    mape: float
    count: int


class ErrorSums:
    """Sums of errors for each step and sensor."""

    def __init__(self, horizon: int, sensors: int):
        form = (horizon, sensors)
        self.absolute, self.squared, self.relative, self.count, self.divisible = (
            torch.zeros(form, dtype=torch.float64) for _ in range(5)
        )

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Add some windows. Shape: (n, horizon, sensors), truth with NaN where missing"""
        known = ~truth.isnan()
        errors = (forecast - truth).where(known, 0).double()
        divisible = known & (truth.abs() > MIN_PERCENT_OF)
        self.absolute += errors.abs().sum(0)
        self.squared += errors.square().sum(0)
        self.relative += (errors.abs() / truth.abs()).where(divisible, 0).sum(0)
        self.count += known.sum(0)
        self.divisible += divisible.sum(0)

    def at(self, step: int | None = None) -> Errors:
        """Return the errors at one step, the first being 0; over all steps without one."""
        rows = slice(None) if step is None else slice(step, step + 1)
        count = float(self.count[rows].sum())
        if not count:
            return Errors(float("nan"), float("nan"), float("nan"), 0)
        divisible = float(self.divisible[rows].sum())
        return Errors(
            float(self.absolute[rows].sum()) / count,
            (float(self.squared[rows].sum()) / count) ** 0.5,
            float(self.relative[rows].sum()) / divisible if divisible else float("nan"),
            int(count),
        )

    def by_sensor(self) -> Tensor:
        """Return the mean absolute error of each sensor; NaN without readings. Shape: (sensors,)"""
        count = self.count.sum(0)
        return (self.absolute.sum(0) / count.clamp(min=1)).where(count > 0, float("nan"))


def shown_steps(horizon: int, step_minutes: float | None) -> list[int]:
    """Return which steps a table shows, the first being 0: 15, 30 and 60 minutes where they are.

    Otherwise the first, the middle and the last.
    """
    if step_minutes is not None:
        usual = [minutes / step_minutes for minutes in USUAL_MINUTES]
        found = [round(s) - 1 for s in usual if s == round(s) and 1 <= s <= horizon]
        if len(found) > 1:
            return found
    return sorted({0, (horizon - 1) // 2, horizon - 1})


def step_words(step: int, step_minutes: float | None) -> str:
    """Return a horizon in words: `15 min`, `2 h`, `step 3`."""
    if step_minutes is None:
        return f"step {step + 1}"
    minutes = (step + 1) * step_minutes
    return f"{minutes / 60:g} h" if minutes >= 120 else f"{minutes:g} min"


def not_beaten(network: ErrorSums, other: ErrorSums, steps: Sequence[int]) -> list[int]:
    """Return the steps at which the network's mean absolute error is not below the other's."""
    return [step for step in steps if not network.at(step).mae < other.at(step).mae]
