"""Random changes to training images, as torchvision transforms on 8-bit tensors."""

import torch
from torch import Tensor, nn

from convatlas.data.images.image_data import ImageData
from convatlas.data.images.many_channels import COLOUR as COLOUR_CHANNELS

LEVELS = ("none", "digits", "tiny", "photo", "inception", "resnet")
CROPPED = ("photo", "inception", "resnet")  # cut from a larger picture than the network takes
EACH_ALONE = ("inception", "resnet")  # draws for each image, as the papers do
COLOUR = 0.4  # of brightness, contrast and saturation, as fb.resnet.torch changes them
RESNET_AREA = ((224 / 480) ** 2, (224 / 256) ** 2)  # of the square: shorter side from 256 to 480
RAND_OPS = 2  # changes an image by RandAugment
TINY_SIDE = 40  # pixels, up to which colour images get CIFAR's augmentation


def augmentation(
    level: str, channels: int, size: int, *, fill: int = 0, rand_magnitude: int = 0
) -> nn.Module:
    """Return a torchvision v2 transform of images (..., channels, size, size).

    Args:
        level: `none`; `digits`: a small affine change, no mirroring; `tiny`: pad by 4, crop and
            mirror, as is standard for CIFAR; `photo`: random crop, mirroring and slight
            changes of colour; `inception`: crop of 8 to 100 % of the area and of an aspect ratio
            from 3/4 to 4/3, mirroring and changes of colour; `resnet`: the same but a square crop
            of an image whose shorter side is 256 to 480 pixels for crops of 224.
        rand_magnitude: of RandAugment's two changes, up to 30, before the others; 0 for none.
        fill: what `digits` shows beyond the edge, 0..255; see `background_value`.

    Raises:
        ValueError: no such level.
    """
    from torchvision.transforms import v2  # slow to import

    if rand_magnitude:
        drawn = v2.RandAugment(RAND_OPS, rand_magnitude, fill=fill)
        return v2.Compose([drawn, augmentation(level, channels, size, fill=fill)])
    if level == "none":
        return v2.Identity()
    if level == "digits":
        return v2.RandomAffine(
            degrees=(-10, 10),
            translate=(0.1, 0.1),
            scale=(0.9, 1.1),
            shear=5,
            interpolation=v2.InterpolationMode.BILINEAR,
            fill=fill,
        )
    if level == "tiny":
        return v2.Compose([v2.RandomCrop(size, padding=4), v2.RandomHorizontalFlip()])
    if level == "photo":
        crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True)
        colour = colour_change(0.2, channels)
        return v2.Compose([crop, v2.RandomHorizontalFlip(), colour])
    if level in EACH_ALONE:
        area, ratio = (
            ((0.08, 1.0), (3 / 4, 4 / 3)) if level == "inception" else (RESNET_AREA, (1, 1))
        )
        crop = v2.RandomResizedCrop(size, scale=area, ratio=ratio, antialias=True)
        colour = colour_change(COLOUR, channels)
        return v2.Compose([crop, v2.RandomHorizontalFlip(), colour])
    raise ValueError(f"augmentation: level must be one of {', '.join(LEVELS)}, got {level!r}")


def colour_change(amount: float, channels: int) -> nn.Module:
    """Return a random change of brightness and contrast, of colour images of saturation too.

    Args:
        amount: each is multiplied by 1 - amount to 1 + amount; of images that are neither grey
            nor in colour each channel alone.
    """
    from torchvision.transforms import v2  # slow to import

    if channels in COLOUR_CHANNELS:
        return v2.ColorJitter(amount, amount, amount * (channels == 3))
    return ChannelJitter(amount)


class ChannelJitter(nn.Module):
    """Change brightness and contrast of each channel alone, by factors near 1.

    Channels of satellites or microscopes are measured apart, and have no saturation.

    Shape: uint8 (..., c, h, w) -> uint8 (..., c, h, w); all images share the draw.
    """

    def __init__(self, amount: float):
        super().__init__()
        self.amount = amount

    def forward(self, images: Tensor) -> Tensor:
        bright, contrast = 1 + self.amount * (2 * torch.rand(2, images.shape[-3], 1, 1) - 1)
        values = images * bright
        mean = values.mean((-2, -1), keepdim=True)
        return (mean + (values - mean) * contrast).round().clamp(0, 255).to(images.dtype)


def choose_augmentation(data: ImageData) -> str:
    """Return the level that suits the images: grey, small in colour, or photographs."""
    if data.channels == 1:
        return "digits"
    return "tiny" if max(data.height, data.width) <= TINY_SIDE else "photo"


def background_value(images: Tensor) -> int:
    """Return what lies around the objects: the median of the images' outermost pixels.

    Shape: uint8 (n, c, h, w)
    """
    edges = (images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1])
    return int(torch.cat([edge.flatten() for edge in edges]).median())


def augment(batch: Tensor, transform: nn.Module, *, together: int = 4) -> Tensor:
    """Change a batch, with one random draw for every few images.

    A transform costs about the same for four small images as for one. Batches are shuffled,
    so the images that share a draw are others in each epoch.

    Args:
        transform: from `augmentation`.
        together: images that share a draw; 1 draws for each.

    Shape: (n, c, h, w) -> (n, c, h, w)
    """
    return torch.cat([transform(part) for part in batch.split(together)])
