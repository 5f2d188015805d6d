"""Channel counts that hardware likes."""


def round_channels(channels: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor`, never below 90 percent of what was asked.

    Source: Sandler et al., "MobileNetV2", 2018, the rounding of the official slim code.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
