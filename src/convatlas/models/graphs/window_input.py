"""The check at the door of a network that reads windows of sensors, and its example."""

import torch
from torch import Tensor

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced


def check_window(x: Tensor, model: str, channels: int, steps: int, sensors: int) -> None:
    """Refuse windows that the network cannot take, saying what it can.

    Args:
        model: the class's name, for the message.

    Raises:
        ValueError: x is not (n, channels, steps, sensors).
    """
    if torch.jit.is_scripting() or is_traced(x):  # pyright: ignore[reportPrivateImportUsage]
        return
    if x.ndim != 4 or tuple(x.shape[1:]) != (channels, steps, sensors):
        raise ValueError(
            f"{model}: input must be (n, {channels}, {steps}, {sensors}): channels, steps, "
            f"sensors; got {tuple(x.shape)}"
        )


def check_sizes(model: str, **sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        UsageError: names the option.
    """
    for option, value in sizes.items():
        if value < 1:
            raise UsageError(f"{model}: {option} must be 1 or more, got {value}")


def steps_left(model: str, history: int, lost: int, parts: str) -> int:
    """Return the steps of a window that are left behind all convolutions along time.

    Args:
        lost: steps that these need beyond one.
        parts: what they are, for the message: `2 blocks`.

    Raises:
        UsageError: none is left.
    """
    if history <= lost:
        raise UsageError(
            f"{model}: history must be {lost + 1} steps or more for {parts}, got {history}"
        )
    return history - lost


class WindowExample:
    """The method `example` of a network that reads windows of sensors."""

    in_channels: int
    history: int
    sensors: int

    def example(self, batch: int = 1) -> tuple[Tensor]:
        """Return random readings as they are read: standardised.

        Args:
            batch: number of windows.

        Shape: (n, in_channels, history, sensors)
        """
        return (torch.randn(batch, self.in_channels, self.history, self.sensors),)
