"""What stands between an image and the network: one definition for every use.

Evaluation, prediction and the exported file all run this module; training resizes once with the
same filter and normalises with the same numbers.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from convatlas.data.images.resize import Resize, resize, resize_image

SAMPLE = 2000  # images that mean and std are taken from
MIN_STD = 1 / 255  # a channel that never varies must not be blown up


class Readable(Protocol):
    """A sequence of images, such as a `Split`."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Tensor:
        """Return an image. Shape: uint8 (channels, h, w)"""
        ...


class Preprocess(nn.Module):
    """Resize to a square, scale to 0..1, subtract the mean and divide by the deviation.

    Unless the weights of the network ask for a crop, or the aspect ratio is to be kept, the image
    is stretched to the square, and nothing is cut away. The resize is antialiased and written as
    two matrix products, so it exports with free height and width and answers the same everywhere.

    Args:
        channels: of the network's input, 1 or 3.
        size: side of the square in pixels.
        mean: per channel, of values in 0..1.
        std: per channel, of the same values.
        crop: as in `Resize`; None stretches.
        filter: as in `Resize`.
        pad: as in `Resize`; None stretches or crops.

    Shape: uint8 (n, h, w, channels), as image libraries give -> (n, channels, size, size)

    Raises:
        ValueError: mean, std or pad do not fit the channels, or the images are not of that form.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: int,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        crop: float | None = None,
        filter: Literal["bilinear", "bicubic"] = "bilinear",
        pad: Sequence[int] | None = None,
    ):
        super().__init__()
        if not len(mean) == len(std) == channels:
            raise ValueError(
                f"Preprocess: mean and std must have {channels} values, got {mean} and {std}"
            )
        if pad is not None and len(pad) != channels:
            raise ValueError(f"Preprocess: pad must have {channels} values, got {pad}")
        if min(std) <= 0:
            raise ValueError(f"Preprocess: std must be above 0, got {std}")
        self.channels, self.size = channels, size
        self.resize = Resize(crop, filter, None if pad is None else tuple(pad))
        self.register_buffer("mean", torch.tensor(mean).reshape(channels, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(channels, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[3] != self.channels:
            raise ValueError(
                f"Preprocess: images must be uint8 (n, h, w, {self.channels}), "
                f"got {images.dtype} {tuple(images.shape)}"
            )
        pixels = resize(images.permute(0, 3, 1, 2).float(), self.size, self.resize)
        return (pixels / 255 - self.mean) / self.std

    def normalise(self, batch: Tensor) -> Tensor:
        """Normalise a batch that has its size. Shape: uint8 (n, channels, h, w) -> float32"""
        # On the device of the batch: training decides it, and moves the network only.
        mean, std = self.mean.to(batch.device), self.std.to(batch.device)
        return (batch.float() / 255 - mean) / std

    def stack(self, images: Iterable[Tensor]) -> Tensor:
        """Return images of different sizes as one batch for the network.

        Shape: each uint8 (channels, h, w) -> float32 (n, channels, size, size)
        """
        return torch.cat([self(image.permute(1, 2, 0)[None]) for image in images])

    def settings(self) -> dict:
        """Return the arguments that build this module again, for JSON."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        made = {"channels": self.channels, "size": self.size, "mean": mean, "std": std}
        made |= {"crop": self.resize.crop, "filter": self.resize.filter}
        return made if self.resize.pad is None else made | {"pad": list(self.resize.pad)}

    def letterboxed(self) -> "Preprocess":
        """Return the same but for the aspect ratio, which is kept; the borders have the mean."""
        pad = [round(255 * mean) for mean in self.mean.flatten().tolist()]
        return Preprocess(**self.settings() | {"crop": None, "pad": pad})

    @classmethod
    def fit(cls, images: Readable, channels: int, size: int) -> "Preprocess":
        """Measure mean and deviation per channel over at most 2,000 evenly spaced images."""
        count = min(len(images), SAMPLE)
        if count == 0:
            raise ValueError("Preprocess.fit: must be given images, got none")
        sums = torch.zeros(2, channels, dtype=torch.float64)
        for i in range(count):
            image = images.read(i * len(images) // count)
            pixels = resize_image(image, size).double() / 255
            sums += torch.stack([pixels.sum((1, 2)), pixels.square().sum((1, 2))])
        mean, square = sums / (count * size * size)
        std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=MIN_STD)
        return cls(channels, size, mean.tolist(), std.tolist())
