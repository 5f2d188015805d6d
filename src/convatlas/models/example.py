"""The two extras that a network owes: an input of its published size, and its smallest build.

Written once here, so that a class says both in a line:

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

Size = int | tuple[int, int]


def image_example(published: Size | str) -> Callable[..., tuple[Tensor]]:
    """Return the method `example(batch=1, size=None)` of a network that reads one image.

    Args:
        published: side of the square image that the published figures hold for, its height and
            width, or the name of the attribute that holds either. In pixels. The network says in
            `in_channels` how many channels it reads.

    Shape: the method returns one tensor (batch, in_channels, h, w) with values from 0 to 1
    """

    def example(self: Any, batch: int = 1, size: Size | None = None) -> tuple[Tensor]:
        """Return random images, by default of the size that the published figures hold for.

        Args:
            batch: number of images.
            size: side in pixels, or height and width.
        """
        own: Size = getattr(self, published) if isinstance(published, str) else published
        wanted = own if size is None else size
        height, width = (wanted, wanted) if isinstance(wanted, int) else wanted
        return (torch.rand(batch, self.in_channels, height, width),)

    return example


def example_inputs(
    model: Any, batch: int, example: Mapping[str, Any], channels: int | None = None
) -> tuple[Tensor, ...]:
    """Return a network's own random inputs, as many and as large as asked for.

    Args:
        model: with a method `example(batch, ...)`.
        batch: number of inputs along the first axis.
        example: further arguments of that method, e.g. `{"size": 32}`. A network of a user's own
            may take none: its images are then made of the size asked for.
        channels: of images; those of the network's example where not given.
    """
    known = inspect.signature(model.example).parameters
    given = model.example(batch, **{key: each for key, each in example.items() if key in known})
    inputs = given if isinstance(given, tuple) else (given,)
    size = example.get("size")
    if size is None or "depth" in example:  # volumes: their networks say it all themselves
        return inputs
    # A network of a user's own may say nothing of size or channels: the data decide both.
    wanted = [(batch, channels or x.shape[1], size, size) for x in inputs]
    suits = all(x.shape == shape for x, shape in zip(inputs, wanted, strict=True))
    return inputs if suits else tuple(torch.rand(shape) for shape in wanted)


def tiny_build(
    size: int | None = None, /, *, in_channels: int = 3, **options: Any
) -> "classmethod[Any, ..., tuple[nn.Module, tuple[Tensor, ...]]]":
    """Return the class method `tiny(in_channels=..., num_classes=5)`.

    Args:
        size: side of its images in pixels; None for those of `example()`.
        in_channels: channels of its images, unless the call says otherwise.
        options: that make the network as small as it can honestly be, with the parts that only
            chance switches off (dropped paths, dropout) kept on.
    """
    channels = in_channels

    def tiny(
        cls: Callable[..., Any], *, in_channels: int = channels, num_classes: int = 5
    ) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(in_channels=in_channels, num_classes=num_classes, **options)
        return model, model.example(batch=2, size=size)

    return classmethod(tiny)
