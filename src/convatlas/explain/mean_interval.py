"""How far the mean of some examples tells that of all."""

from torch import Tensor

NINETY_FIVE = 1.96  # standard errors each side


def mean_interval(values: Tensor) -> tuple[float, float]:
    """Return where the mean of independent values lies with 95 % confidence. Shape: (n,)"""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean
    half = NINETY_FIVE * float(values.std()) / len(values) ** 0.5
    return mean - half, mean + half
