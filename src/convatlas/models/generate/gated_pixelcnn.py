"""Gated PixelCNN: two stacks of convolutions, so that no earlier value stays out of sight.

The vertical stack sees all rows above a place, the horizontal stack what is left of it in its row,
and reads the vertical one at each layer. Each layer ends in tanh times sigmoid, as PixelRNNs have
it; numbers told of an image, such as its class, add to both in every layer.

Source:  van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves, Kavukcuoglu, "Conditional Image
         Generation with PixelCNN Decoders", NIPS 2016, arXiv:1606.05328, sections 2.1 to 2.3.
Claims:  claims/gated_pixelcnn.toml
Differs: the last layer's vertical maps have no gate, because nothing reads them.
"""

import math
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.models.generate.gated_layer import GatedLayer, Told, spread_condition
from convatlas.models.generate.gated_steps import GatedSteps, ToldPair
from convatlas.models.generate.pixel_network import PixelNetwork, PixelSteps, check_pixel_options
from convatlas.models.generate.pixelcnn import pixel_head
from convatlas.models.registry import register
from convatlas.ops.tracing import is_traced

NOTHING: ToldPair = (None, None)


class GatedPixelCNN(PixelNetwork):
    """Probabilities of an image's values, each given all of those before it.

    Args:
        in_channels: colours.
        levels: values that a colour can have; of two, one sigmoid decides.
        maps: of either stack, rounded up to a multiple of the colours.
        layers: pairs of a vertical and a horizontal convolution.
        first_kernel: of the first layer.
        kernel: of the later ones.
        head_maps: of the 1 x 1 layer before the answer.
        width: multiplies `maps` and `head_maps`.

    Shape: (n, in_channels, h, w) from -1 to 1 -> (n, outputs, in_channels, h, w)

    Raises:
        UsageError: an option that no network has.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        levels: int = 256,
        maps: int = 384,
        layers: int = 20,
        first_kernel: int = 7,
        kernel: int = 5,
        head_maps: int = 1024,
        width: float = 1.0,
    ):
        super().__init__()
        name = type(self).__name__
        sizes = {"maps": maps, "layers": layers, "first_kernel": first_kernel, "kernel": kernel}
        check_pixel_options(name, in_channels, levels, **sizes)
        if first_kernel < 3:
            raise UsageError(f"{name}: first_kernel must be 3 or more, got {first_kernel}")
        self.in_channels, self.levels = in_channels, levels
        self.maps = math.ceil(maps * width / in_channels) * in_channels
        self.layers = nn.ModuleList(
            GatedLayer(
                self.maps if place else in_channels,
                self.maps,
                kernel if place else first_kernel,
                colours=in_channels,
                first=place == 0,
                last=place == layers - 1,
            )
            for place in range(layers)
        )
        wide = max(in_channels, round(head_maps * width))
        self.head = pixel_head(self.maps, wide, self.outputs, colours=in_channels, layers=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x, [NOTHING] * len(self.layers))

    def answer(self, x: Tensor, told: Iterable[ToldPair]) -> Tensor:
        """Return the logits, given what each layer is told.

        Shape: (n, in_channels, h, w) -> (n, outputs, in_channels, h, w)
        """
        self.check(x)
        vertical, horizontal = x, x
        for layer, pair in zip(self.layers, told, strict=True):
            vertical, horizontal = layer(vertical, horizontal, *pair)
        return self.by_colour(self.head(horizontal))

    def steps(self, image: Tensor, condition: Tensor | None = None) -> PixelSteps:
        """Return the answers place by place: the vertical stack once a row, then a place each.

        Shape: as in `PixelNetwork`
        """
        return _Steps(self, image, [NOTHING] * len(self.layers))

    @classmethod
    def tiny(cls) -> "tuple[GatedPixelCNN, tuple[Tensor, ...]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(levels=4, maps=6, layers=3, first_kernel=5, kernel=3, head_maps=9)
        x, *further = model.example(batch=2)
        return model, (x[:, :, :6, :8], *further)


class ConditionalGatedPixelCNN(GatedPixelCNN):
    """Probabilities of an image's values, given those before it and what is told of the image.

    Args:
        conditions: numbers that are told, such as 1 for its class and 0 for the others.
        located: they are told as a map, which is enlarged to the image; otherwise as a vector.

    The others are those of `GatedPixelCNN`.

    Shape: (n, in_channels, h, w) and (n, conditions), or located (n, conditions, i, j), ->
        (n, outputs, in_channels, h, w)

    Raises:
        UsageError: an option that no network has.
    """

    def __init__(
        self,
        *,
        conditions: int = 1000,
        located: bool = False,
        in_channels: int = 3,
        levels: int = 256,
        maps: int = 384,
        layers: int = 20,
        first_kernel: int = 7,
        kernel: int = 5,
        head_maps: int = 1024,
        width: float = 1.0,
    ):
        super().__init__(
            in_channels=in_channels,
            levels=levels,
            maps=maps,
            layers=layers,
            first_kernel=first_kernel,
            kernel=kernel,
            head_maps=head_maps,
            width=width,
        )
        if conditions < 1:
            raise UsageError(f"{type(self).__name__}: conditions must be 1 or more")
        self.conditions, self.located = conditions, located
        self.told = nn.ModuleList(
            Told(conditions, self.maps, last=place == layers - 1) for place in range(layers)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]  it cannot answer without
        return self.answer(x, self._told(x, condition))

    def steps(self, image: Tensor, condition: Tensor | None = None) -> PixelSteps:
        """Return the answers place by place, for images of which something is told.

        Shape: as in `GatedPixelCNN`, and (n, conditions) or (n, conditions, i, j)

        Raises:
            ValueError: nothing is told.
        """
        if condition is None:
            raise ValueError(f"{type(self).__name__}: steps need the condition of each image")
        return _Steps(self, image, self._told(image, condition))

    def _told(self, x: Tensor, condition: Tensor) -> list[ToldPair]:
        if not torch.jit.is_scripting() and not is_traced(condition):  # pyright: ignore[reportPrivateImportUsage]
            self._check_condition(condition)
        spread = spread_condition(condition, x, located=self.located)
        return [told(spread) for told in self.told]

    def _check_condition(self, condition: Tensor) -> None:
        axes = 4 if self.located else 2
        if condition.dim() != axes or condition.shape[1] != self.conditions:
            form = f"(n, {self.conditions}{', h, w' if self.located else ''})"
            raise ValueError(
                f"{type(self).__name__}: the condition must be {form}, got {tuple(condition.shape)}"
            )

    def example(self, batch: int = 1, height: int = 32, width: int = 32) -> tuple[Tensor, ...]:
        """Return random images and classes as they are told. Shape: as the network's

        Args:
            batch: number of images.
        """
        told = torch.zeros(batch, self.conditions)
        told[torch.arange(batch), torch.arange(batch) % self.conditions] = 1
        images = super().example(batch, height, width)
        return *images, told[:, :, None, None] if self.located else told

    @classmethod
    def tiny(cls) -> "tuple[GatedPixelCNN, tuple[Tensor, ...]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(conditions=3, levels=4, maps=6, layers=3, first_kernel=5, kernel=3, head_maps=9)
        x, told = model.example(batch=2)
        return model, (x[:, :, :6, :8], told)


class _Steps:
    """A Gated PixelCNN at one place of an image after the other."""

    def __init__(self, network: GatedPixelCNN, image: Tensor, told: list[ToldPair]):
        layers = [cast(GatedLayer, layer) for layer in network.layers]
        self.network = network
        self.stacks = GatedSteps(layers, network.head, image, told)

    def logits(self, image: Tensor, row: int, column: int) -> Tensor:
        return self.network.by_colour(self.stacks.maps(image, row, column))


SMALL = {"maps": 24, "layers": 7, "kernel": 3, "head_maps": 32}
register("gated_pixelcnn", GatedPixelCNN, "generate")
register("gated_pixelcnn_small", GatedPixelCNN, "generate", **SMALL)
register("gated_pixelcnn_conditional", ConditionalGatedPixelCNN, "generate")
register("gated_pixelcnn_conditional_small", ConditionalGatedPixelCNN, "generate", **SMALL)
