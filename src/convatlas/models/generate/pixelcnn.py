"""PixelCNN: give each value of an image a probability by convolutions that see earlier values only.

Filters are masked after their centre in reading order, and at the centre by colour: red, then green
given red, then blue given both. Residual blocks of one size throughout; no pooling. All places are
trained at once, and drawn one after the other. What lies up and to the right of a place, beyond a
slope that the masked filters cannot climb, is never seen; `gated_pixelcnn` sees it.

Source:  van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel Recurrent Neural Networks", ICML 2016,
         arXiv:1601.06759, section 3 and table 1.
Claims:  claims/pixelcnn.toml
Differs: maps belong to the colours in turn, so that 128 maps need not divide by 3.
"""

from torch import Tensor, nn

from convatlas.models.generate.masked_layers import MaskedConv2d, RowWindow, image_window
from convatlas.models.generate.pixel_network import (
    PixelNetwork,
    PixelSteps,
    check_pixel_options,
)
from convatlas.models.registry import register

KERNEL = 3  # of the masked convolution within a block


class MaskedBlock(nn.Module):
    """Shrink to half of the maps, look around among earlier values, widen, and add the input.

    Args:
        half: half of the maps, h in the paper.

    Shape: (n, 2 half, h, w) -> the same

    Cost: 13 * half² multiply-adds at each place.
    """

    def __init__(self, half: int, colours: int):
        super().__init__()
        self.shrink = MaskedConv2d(2 * half, half, 1, kind="B", colours=colours)
        self.look = MaskedConv2d(half, half, KERNEL, kind="B", colours=colours)
        self.widen = MaskedConv2d(half, 2 * half, 1, kind="B", colours=colours)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.widen(self.look(self.shrink(x.relu()).relu()).relu())


class PixelCNN(PixelNetwork):
    """Probabilities of an image's values, each given those before it.

    Args:
        in_channels: colours.
        levels: values that a colour can have; of two, one sigmoid decides.
        maps: half of the maps between blocks, h in the paper.
        layers: the first convolution and the residual blocks.
        first_kernel: of the first convolution.
        head_maps: of the 1 x 1 layers before the answer.
        head_layers: how many of them.
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
        maps: int = 128,
        layers: int = 15,
        first_kernel: int = 7,
        head_maps: int = 1024,
        head_layers: int = 2,
        width: float = 1.0,
    ):
        super().__init__()
        check_pixel_options(
            "PixelCNN",
            in_channels,
            levels,
            maps=maps,
            layers=layers,
            first_kernel=first_kernel,
            head_layers=head_layers,
        )
        self.in_channels, self.levels = in_channels, levels
        half, wide = (max(in_channels, round(each * width)) for each in (maps, head_maps))
        self.first = MaskedConv2d(
            in_channels, 2 * half, first_kernel, kind="A", colours=in_channels
        )
        self.blocks = nn.Sequential(*(MaskedBlock(half, in_channels) for _ in range(layers - 1)))
        self.head = pixel_head(
            2 * half, wide, self.outputs, colours=in_channels, layers=head_layers
        )

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        return self.by_colour(self.head(self.blocks(self.first(x))))

    def steps(self, image: Tensor, condition: Tensor | None = None) -> PixelSteps:
        """Return the answers place by place; each block keeps two rows of what it looks at.

        Shape: as in `PixelNetwork`
        """
        return _Steps(self, image)

    @classmethod
    def tiny(cls) -> "tuple[PixelCNN, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(levels=4, maps=6, layers=3, first_kernel=5, head_maps=9)
        (x,) = model.example(batch=2)
        return model, (x[:, :, :6, :8],)


def pixel_head(
    in_channels: int, maps: int, outputs: int, *, colours: int, layers: int
) -> nn.Sequential:
    """Build the last layers: 1 x 1 convolutions, each behind a ReLU, masked by colour.

    Shape: (n, in_channels, h, w) -> (n, outputs * colours, h, w)
    """
    parts: list[nn.Module] = []
    into = in_channels
    for wide in [maps] * layers + [outputs * colours]:
        parts += [nn.ReLU(), MaskedConv2d(into, wide, 1, kind="B", colours=colours)]
        into = wide
    return nn.Sequential(*parts)


class _Steps:
    """A PixelCNN at one place of an image after the other."""

    def __init__(self, network: PixelCNN, image: Tensor):
        self.network = network
        self.first = network.first.at_place()
        self.reach = network.first.kernel_size[0] // 2
        self.blocks = [_BlockStep(block, image) for block in network.blocks]

    def logits(self, image: Tensor, row: int, column: int) -> Tensor:
        y = self.first(image_window(image, row, column, self.reach, above=self.reach))
        for block in self.blocks:
            y = block(y, row, column)
        return self.network.by_colour(self.network.head(y[:, :, None, None]).flatten(1))


class _BlockStep:
    """A block at one place, with the last rows of what its masked convolution reads."""

    def __init__(self, block: nn.Module, image: Tensor):
        assert isinstance(block, MaskedBlock)
        self.shrink, self.look = block.shrink.at_place(), block.look.at_place()
        self.widen = block.widen.at_place()
        reach = KERNEL // 2
        self.rows = RowWindow(image, block.look.in_channels, reach + 1, (reach, reach))

    def __call__(self, x: Tensor, row: int, column: int) -> Tensor:
        self.rows.move_to(row)
        window = self.rows.put(self.shrink(x.relu()).relu(), column)
        return x + self.widen(self.look(window).relu())


register("pixelcnn", PixelCNN, "generate")
register(
    "pixelcnn_mnist",
    PixelCNN,
    "generate",
    in_channels=1,
    levels=2,
    maps=16,
    layers=7,
    head_maps=32,
)
