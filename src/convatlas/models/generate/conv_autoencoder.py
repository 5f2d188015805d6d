"""Convolutional autoencoder: an image through a few numbers and back.

Convolutions of stride 2 shrink the maps, a linear layer makes `latent` numbers of them; a mirrored
decoder enlarges by transposed convolutions whose kernel is divisible by the stride, so that each
pixel is reached by as many weights and no checkerboard appears, or by resizing and an ordinary
convolution.

Source:  Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks",
         Science 313, 2006, doi:10.1126/science.1127647; Odena, Dumoulin, Olah, "Deconvolution and
         Checkerboard Artifacts", Distill 2016, doi:10.23915/distill.00003.
Differs: convolutions with batch norm, where the first source has full layers that are trained one
         by one; no paper states these sizes.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import ConvNormAct
from convatlas.blocks.image_size import check_exact_image
from convatlas.blocks.options import check_option
from convatlas.errors import UsageError
from convatlas.models.example import image_example
from convatlas.models.registry import register

STRIDE = 2  # of each stage, both ways
UPS = ("transposed", "resize")


class ConvAutoencoder(nn.Module):
    """Write an image as `latent` numbers, and draw it again from them.

    Args:
        in_channels: colours.
        image_size: side of the images in pixels, or height and width; the linear layers are bound
            to it. Images are padded to a multiple of 2^stages, and the answer is cut back.
        latent: numbers that an image is written as.
        maps: of the first stage; each further stage has twice as many.
        stages: how often the sides are halved.
        up: `transposed`, or `resize`: the nearest pixel repeated, then a 3 x 3 convolution.
        kernel: of the transposed convolutions; divisible by their stride of 2.
        width: multiplies `maps`.

    Shape: (n, in_channels, h, w) from 0 to 1 -> latent (n, latent), reconstruction (n, in_channels,
        h, w), which may leave that range a little

    Raises:
        UsageError: an option that no network has.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        image_size: int | Sequence[int] = 32,
        latent: int = 128,
        maps: int = 32,
        stages: int = 3,
        up: str = "transposed",
        kernel: int = 4,
        width: float = 1.0,
    ):
        super().__init__()
        check_option("ConvAutoencoder", "up", up, UPS)
        self.image_size = _two_sides(image_size)
        _check_sizes(self.image_size, latent=latent, maps=maps, stages=stages, kernel=kernel)
        self.in_channels, self.latent = in_channels, latent
        self.padding = _padding(self.image_size, STRIDE**stages)
        levels = [max(1, round(maps * 2**i * width)) for i in range(stages)]
        small = tuple(-(-side // STRIDE**stages) for side in self.image_size)
        self.small = (levels[-1], *small)
        numbers = math.prod(self.small)
        self.down = nn.Sequential(
            *(
                ConvNormAct(into, out, 3, stride=STRIDE)
                for into, out in zip([in_channels, *levels[:-1]], levels, strict=True)
            )
        )
        self.to_latent = nn.Linear(numbers, latent)
        self.from_latent = nn.Linear(latent, numbers)
        back = levels[::-1]
        self.up = nn.Sequential(
            *(
                nn.Sequential(_enlarge(into, out, up, kernel), nn.BatchNorm2d(out), nn.ReLU())
                for into, out in pairwise(back)
            ),
            _enlarge(levels[0], in_channels, up, kernel, bias=True),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.encode(x)
        return latent, self.decode(latent)

    def encode(self, x: Tensor) -> Tensor:
        """Write images as numbers. Shape: (n, in_channels, h, w) -> (n, latent)"""
        check_exact_image(x, "ConvAutoencoder", self.in_channels, self.image_size)
        if any(self.padding):
            x = F.pad(x, self.padding, mode="replicate")
        return self.to_latent(torch.flatten(self.down(x), 1))

    def decode(self, latent: Tensor) -> Tensor:
        """Draw images from numbers. Shape: (n, latent) -> (n, in_channels, h, w)"""
        maps = self.from_latent(latent).relu().unflatten(1, self.small)
        left, _, top, _ = self.padding
        height, width = self.image_size
        return self.up(maps)[:, :, top : top + height, left : left + width]

    example = image_example("image_size")

    @classmethod
    def tiny(cls) -> "tuple[ConvAutoencoder, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(image_size=(10, 12), latent=3, maps=4, stages=2)
        return model, model.example(batch=2)


def _enlarge(into: int, out: int, up: str, kernel: int, bias: bool = False) -> nn.Module:
    """Double both sides. Shape: (n, into, h, w) -> (n, out, 2 h, 2 w)"""
    if up == "transposed":
        padding = (kernel - STRIDE) // 2
        return nn.ConvTranspose2d(into, out, kernel, stride=STRIDE, padding=padding, bias=bias)
    larger = nn.Upsample(scale_factor=STRIDE, mode="nearest")
    return nn.Sequential(larger, nn.Conv2d(into, out, 3, padding=1, bias=bias))


def _two_sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width; the options of a stored run have a list for two."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or any(type(side) is not int or side < 1 for side in sides):
        raise UsageError(
            "ConvAutoencoder: image_size must be a side in pixels, or height and width, from 1 "
            f"up, got {size!r}"
        )
    return sides[0], sides[1]


def _padding(size: tuple[int, int], multiple: int) -> tuple[int, int, int, int]:
    """Return what is missing to a multiple, on both sides: left, right, top, bottom."""
    (top, bottom), (left, right) = (
        (missing // 2, missing - missing // 2) for missing in (-side % multiple for side in size)
    )
    return left, right, top, bottom


def _check_sizes(size: tuple[int, int], **options: int) -> None:
    """Refuse numbers that no network has.

    Raises:
        UsageError: names the option.
    """
    for option, value in options.items():
        if type(value) is not int or value < 1:
            raise UsageError(
                f"ConvAutoencoder: {option} must be a whole number from 1 up, got {value!r}"
            )
    if options["kernel"] % STRIDE:
        raise UsageError(
            f"ConvAutoencoder: kernel must be divisible by the stride of {STRIDE}, got "
            f"{options['kernel']}: otherwise more weights reach some pixels than others"
        )
    if STRIDE ** options["stages"] > 2 * min(size):
        raise UsageError(
            f"ConvAutoencoder: stages must suit images of {size[1]} x {size[0]} pixels, got "
            f"{options['stages']}: one pixel would be left earlier"
        )


register("conv_autoencoder", ConvAutoencoder, "reconstruct")
register("conv_autoencoder_resize", ConvAutoencoder, up="resize")
register(
    "conv_autoencoder_mnist", ConvAutoencoder, in_channels=1, image_size=28, latent=32, stages=2
)
