"""DCGAN: a generator that makes images of random numbers, and a discriminator that judges them.

The generator doubles its maps by transposed convolutions until they are an image; the discriminator
halves them by strided ones until one number is left. Neither pools nor has hidden linear layers.

Source:  Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional
         Generative Adversarial Networks", ICLR 2016, arXiv:1511.06434, figure 1 and section 3.
Differs: filters of 4 x 4, which reach each pixel equally often at a stride of 2 (Odena, Dumoulin,
         Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016); the paper's 5 x 5 are
         `dcgan_5x5`. Images of 32 and 28 pixels have one and two stages less.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.blocks.image_size import check_exact_image
from convatlas.errors import UsageError
from convatlas.models.registry import register
from convatlas.ops.tracing import is_traced

SIZES = {64: (4, 4), 32: (4, 3), 28: (7, 2)}  # side of the images: of the first maps, and stages
KERNELS = (4, 5)
LAST = 128  # channels of the largest maps; they double from stage to stage
DEVIATION = 0.02  # of the starting weights
SLOPE = 0.2  # of the discriminator's activation below zero


class DCGAN(nn.Module):
    """Generator: the network that is used once training is over.

    Args:
        width: multiplies every channel count.
        size: side of the images in pixels: 64, 32 or 28.
        kernel: 4, or 5 as in the paper.
        latent: random numbers that an image is made of.
        in_channels: colours of the images.

    Shape: (n, latent) from -1 to 1 -> (n, in_channels, size, size) from -1 to 1

    Raises:
        UsageError: an option that no network has.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        size: int = 64,
        kernel: int = 4,
        latent: int = 100,
        in_channels: int = 3,
    ):
        super().__init__()
        _check_options("DCGAN", size, kernel)
        if latent < 1:
            raise UsageError(f"DCGAN: latent must be 1 or more, got {latent}")
        self.latent, self.in_channels, self.size = latent, in_channels, size
        channels = stage_channels(size, width)[::-1]
        start, _ = SIZES[size]
        self.project = nn.Sequential(
            nn.Linear(latent, channels[0] * start**2, bias=False),
            nn.Unflatten(1, (channels[0], start, start)),
            nn.BatchNorm2d(channels[0]),
            nn.ReLU(),
        )
        self.enlarge = nn.Sequential(
            *(
                nn.Sequential(_enlarge(into, out, kernel), nn.BatchNorm2d(out), nn.ReLU())
                for into, out in pairwise(channels)
            )
        )
        self.paint = nn.Sequential(_enlarge(channels[-1], in_channels, kernel), nn.Tanh())
        draw_starting_weights(self)

    def forward(self, z: Tensor) -> Tensor:
        if not is_traced(z) and (z.ndim != 2 or z.shape[1] != self.latent):
            raise ValueError(f"DCGAN: input must be (n, {self.latent}), got {tuple(z.shape)}")
        return self.paint(self.enlarge(self.project(z)))

    def example(self, batch: int = 1) -> tuple[Tensor]:
        """Return uniform random numbers from -1 to 1. Shape: (n, latent)

        Args:
            batch: number of images that are made of them.
        """
        return (2 * torch.rand(batch, self.latent) - 1,)

    @torch.no_grad()
    def draw(self, count: int, *, seed: int = 0, batch_size: int = 256) -> Tensor:
        """Draw images in evaluation mode; the same seed draws the same ones, on each device.

        Shape: uint8 (count, in_channels, size, size)
        """
        random = torch.Generator().manual_seed(seed)
        z = 2 * torch.rand(count, self.latent, generator=random) - 1
        was_training = self.training
        self.eval()
        weight = next(self.parameters())
        made = [self(part.to(weight)).float().cpu() for part in z.split(batch_size)]
        self.train(was_training)
        return ((torch.cat(made) + 1) * 127.5).round().to(torch.uint8)

    @classmethod
    def tiny(cls) -> "tuple[DCGAN, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(width=1 / 32, size=28, latent=8)
        return model, model.example(batch=2)


class DCGANDiscriminator(nn.Module):
    """Judge images: the logit of each being a real one. Needed in training only.

    Args:
        as in `DCGAN`.

    Shape: (n, in_channels, size, size) from -1 to 1 -> (n,)

    Raises:
        UsageError: an option that no network has.
    """

    def __init__(
        self, *, width: float = 1.0, size: int = 64, kernel: int = 4, in_channels: int = 3
    ):
        super().__init__()
        _check_options("DCGANDiscriminator", size, kernel)
        self.in_channels, self.size = in_channels, size
        channels = [in_channels, *stage_channels(size, width)]
        start, _ = SIZES[size]
        self.shrink = nn.Sequential(
            *(
                _shrink(into, out, kernel, norm=place > 0)
                for place, (into, out) in enumerate(pairwise(channels))
            )
        )
        self.judge = nn.Sequential(
            nn.Flatten(), nn.Linear(channels[-1] * start**2, 1, bias=False), nn.Flatten(0)
        )
        draw_starting_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_exact_image(x, "DCGANDiscriminator", self.in_channels, (self.size, self.size))
        return self.judge(self.shrink(x))


def stage_channels(size: int, width: float) -> list[int]:
    """Return the channels of the maps from the largest to the smallest ones."""
    _, stages = SIZES[size]
    return [max(1, round(LAST * 2**stage * width)) for stage in range(stages)]


def draw_starting_weights(model: nn.Module) -> None:
    """Draw weights from N(0, 0.02²), and the gains of batch norm from N(1, 0.02²)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, DEVIATION)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, DEVIATION)


def _check_options(model: str, size: int, kernel: int) -> None:
    check_option(model, "size", size, SIZES)
    check_option(model, "kernel", kernel, KERNELS)


def _enlarge(into: int, out: int, kernel: int) -> nn.ConvTranspose2d:
    """Return the layer that doubles both sides."""
    padding, more = (kernel - 1) // 2, kernel % 2
    return nn.ConvTranspose2d(
        into, out, kernel, stride=2, padding=padding, output_padding=more, bias=False
    )


def _shrink(into: int, out: int, kernel: int, *, norm: bool) -> nn.Sequential:
    """Return the layers that halve both sides."""
    conv = nn.Conv2d(into, out, kernel, stride=2, padding=(kernel - 1) // 2, bias=False)
    norms = [nn.BatchNorm2d(out)] if norm else []
    return nn.Sequential(conv, *norms, nn.LeakyReLU(SLOPE))


# The generator is what is counted, exported and used; `DCGANDiscriminator` only trains it.
register("dcgan", DCGAN, "gan")
register("dcgan_5x5", DCGAN, kernel=5)
register("dcgan_r32", DCGAN, size=32)
register("dcgan_r28", DCGAN, size=28, in_channels=1)
