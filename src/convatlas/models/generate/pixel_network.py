"""What a network owes that gives each value of an image a probability, given the values before it.

Values come in reading order, row by row; within a pixel one colour after the other. Answers for a
place must not depend on that value or a later one: images are drawn by it, value by value.
"""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks.image_size import check_image
from convatlas.errors import UsageError

BINARY = 2  # levels of which one number decides


class PixelSteps(Protocol):
    """The answers of a network place by place, while an image is drawn."""

    def logits(self, image: Tensor, row: int, column: int) -> Tensor:
        """Return logits at a place; places are asked in reading order, each once or more.

        Args:
            image: in the network's form; what comes later than the place is not looked at.

        Shape: (n, colours, h, w) -> (n, outputs, colours)
        """
        ...


class PixelNetwork(nn.Module):
    """A network that answers with logits of the levels of each value.

    Attributes:
        in_channels: colours; channel i of all maps belongs to colour i mod `in_channels`.
        levels: values that a colour can have.
        conditions: numbers that it is told of an image beside its pixels; 0 for none.

    Shape: (n, in_channels, h, w) from -1 to 1 -> (n, outputs, in_channels, h, w); outputs are the
        levels, or 1 for two levels: the logit of the upper one
    """

    in_channels: int
    levels: int
    conditions: int = 0

    @property
    def outputs(self) -> int:
        """Numbers that it answers with for each value."""
        return 1 if self.levels == BINARY else self.levels

    def steps(self, image: Tensor, condition: Tensor | None = None) -> PixelSteps:
        """Return the answers place by place; a network that can gives each for a place's cost.

        Args:
            image: of the batch, height and width that are asked for; its values do not matter.
        """
        return WholePass(self, condition)

    def check(self, x: Tensor) -> None:
        """Refuse images that the network cannot take, saying what it can.

        Raises:
            ValueError: x is not (n, in_channels, h, w).
        """
        check_image(x, type(self).__name__, self.in_channels, 1)

    def by_colour(self, maps: Tensor) -> Tensor:
        """Split maps into outputs and colours. Shape: (n, outputs * colours, …) -> as said"""
        return maps.unflatten(1, (self.outputs, self.in_channels))

    def example(self, batch: int = 1, height: int = 32, width: int = 32) -> tuple[Tensor, ...]:
        """Return random images, by default of the size of CIFAR-10's. Shape: (n, in_channels, h, w)

        Args:
            batch: number of images.
        """
        return (2 * torch.rand(batch, self.in_channels, height, width) - 1,)


class WholePass:
    """Steps of a network that has no cheaper ones: each looks at the whole image."""

    def __init__(self, network: nn.Module, condition: Tensor | None = None):
        self.network = network
        self.condition = () if condition is None else (condition,)

    def logits(self, image: Tensor, row: int, column: int) -> Tensor:
        """Return logits at a place. Shape: (n, colours, h, w) -> (n, outputs, colours)"""
        return self.network(image, *self.condition)[:, :, :, row, column]


def check_pixel_options(model: str, channels: int, levels: int, **sizes: int) -> None:
    """Refuse options that no network has.

    Args:
        sizes: options that must be 1 or more; those called `kernel` must be odd, too.

    Raises:
        UsageError: names the option.
    """
    if type(levels) is not int or not 2 <= levels <= 256:
        raise UsageError(f"{model}: levels must be a whole number from 2 to 256, got {levels!r}")
    for option, value in {"in_channels": channels, **sizes}.items():
        if value < 1:
            raise UsageError(f"{model}: {option} must be 1 or more, got {value}")
        if option.endswith("kernel") and value % 2 == 0:
            raise UsageError(f"{model}: {option} must be odd, got {value}")


def scaled(values: Tensor, levels: int) -> Tensor:
    """Scale levels to a network's form, from -1 to 1. Shape: int (…) -> float (…)"""
    return values.float() * (2 / (levels - 1)) - 1


def value_nats(logits: Tensor, values: Tensor) -> Tensor:
    """Return minus the natural logarithm of each value's probability.

    Shape:
        logits   (n, outputs, colours, h, w)
        values   int64 (n, colours, h, w)
        returns  (n, colours, h, w)
    """
    if logits.shape[1] == 1:
        upper = logits[:, 0]
        return F.softplus(upper) - upper * values.to(logits.dtype)
    return logits.logsumexp(1) - logits.gather(1, values.unsqueeze(1)).squeeze(1)


def level_probabilities(logits: Tensor) -> Tensor:
    """Return the probability of each level. Shape: (n, outputs, …) -> (n, levels, …)"""
    if logits.shape[1] == 1:
        upper = logits.sigmoid()
        return torch.cat([1 - upper, upper], dim=1)
    return logits.softmax(dim=1)
