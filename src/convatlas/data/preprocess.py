"""What stands between an image and the network: one definition for every use.

Evaluation, prediction and the exported file all run this module; training resizes once with the
same filter and normalises with the same numbers.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

SAMPLE = 2000  # images that mean and std are taken from
LEAST_STD = 1 / 255  # a channel that never varies must not be blown up


class Readable(Protocol):
    """A sequence of images, such as a `Split`."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Tensor:
        """uint8 (channels, h, w)."""
        ...


class Preprocess(nn.Module):
    """Resize to a square, scale to 0..1, subtract the mean and divide by the deviation.

    The image is stretched to the square; nothing is cropped away. The resize is bilinear and
    antialiased, written as two matrix products, so it exports with free height and width and
    answers the same everywhere.

    Args:
        channels: of the network's input, 1 or 3.
        size: side of the square in pixels.
        mean: per channel, of values in 0..1.
        std: likewise.

    Shape: uint8 (n, h, w, channels), as image libraries give -> (n, channels, size, size)

    Raises:
        ValueError: mean or std do not fit the channels, or the images are not of that form.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, size: int, mean: list[float], std: list[float]):
        super().__init__()
        if not len(mean) == len(std) == channels:
            raise ValueError(
                f"Preprocess: mean and std must have {channels} values, got {mean} and {std}"
            )
        if min(std) <= 0:
            raise ValueError(f"Preprocess: std must be above 0, got {std}")
        self.channels, self.size = channels, size
        self.register_buffer("mean", torch.tensor(mean).reshape(channels, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != self.channels:
            raise ValueError(
                f"Preprocess: images must be uint8 (n, h, w, {self.channels}), "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        pixels = resize(images.permute(0, 3, 1, 2).float(), self.size)
        return (pixels / 255 - self.mean) / self.std

    def normalise(self, batch: Tensor) -> Tensor:
        """A batch that has its size already. Shape: uint8 (n, channels, h, w) -> float32."""
        return (batch.float() / 255 - self.mean) / self.std

    def stack(self, images: Iterable[Tensor]) -> Tensor:
        """Images of different sizes as one batch for the network.

        Shape: each uint8 (channels, h, w) -> float32 (n, channels, size, size)
        """
        return torch.cat([self(image.permute(1, 2, 0)[None]) for image in images])

    def settings(self) -> dict:
        """The arguments that build this module again, for JSON."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return {"channels": self.channels, "size": self.size, "mean": mean, "std": std}

    @classmethod
    def fit(cls, images: Readable, channels: int, size: int) -> "Preprocess":
        """Mean and deviation per channel over at most 2,000 evenly spaced training images."""
        count = min(len(images), SAMPLE)
        if count == 0:
            raise ValueError("Preprocess.fit: must be given images, got none")
        sums = torch.zeros(2, channels, dtype=torch.float64)
        for i in range(count):
            image = images.read(i * len(images) // count)
            pixels = resize_image(image, size).double() / 255
            sums += torch.stack([pixels.sum((1, 2)), pixels.square().sum((1, 2))])
        mean, square = sums / (count * size * size)
        std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=LEAST_STD)
        return cls(channels, size, mean.tolist(), std.tolist())


def resize(images: Tensor, size: int) -> Tensor:
    """Antialiased bilinear resize to a square, in operators that every export knows.

    Shape: (..., h, w) -> (..., size, size)

    Cost: size * h * w + size * size * h multiply-adds per channel.
    """
    rows = resize_weights(images.shape[-2], size, images.device)
    columns = resize_weights(images.shape[-1], size, images.device)
    return rows @ (images @ columns.T)


def resize_image(image: Tensor, size: int) -> Tensor:
    """`resize` of one image by torch's own operator: the same numbers in a third of the time.

    Shape: uint8 (c, h, w) -> float32 (c, size, size)
    """
    floats = image.float()
    if image.shape[-2:] == (size, size):
        return floats
    side = (size, size)
    return functional.interpolate(floats[None], side, mode="bilinear", antialias=True)[0]


def resize_weights(length: int, size: int, device: torch.device) -> Tensor:
    """Weight of each of `length` input pixels in each of `size` output pixels.

    A triangle around the output pixel's centre, one input pixel wide to each side, or as wide
    as the reduction where the image shrinks; each row sums to 1.

    Shape: (size, length)
    """
    pixels = torch.arange(length, dtype=torch.float32, device=device) + 0.5
    total = pixels[-1:] + 0.5  # the length as a tensor: export keeps it free
    centres = (torch.arange(size, dtype=torch.float32, device=device) + 0.5) * total / size
    reach = (total / size).clamp(min=1)
    weights = (1 - (pixels - centres[:, None]).abs() / reach).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
