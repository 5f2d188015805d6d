"""Random changes to an image and its mask together, through torchvision's transforms."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from convatlas.data.masks.mask_files import IGNORED

LEVELS = ("none", "photo", "cells")
GRID = 3  # displacement vectors along each side, as in U-Net's paper
DEFORMED_SHARE = 0.5  # of the images
DEVIATION = 8.0  # pixels of a displacement vector


def mask_augmentation(level: str) -> nn.Module:
    """Return a torchvision v2 transform of an image and its mask.

    Args:
        level: `none`; `photo`: mirrored left and right, larger or smaller, other light; `cells`:
            mirrored and turned in any way, deformed like rubber, other light.

    Raises:
        ValueError: no such level.
    """
    from torchvision import tv_tensors
    from torchvision.transforms import v2  # slow to import

    fill: dict[Any, Any] = {tv_tensors.Image: 0, tv_tensors.Mask: IGNORED}
    if level == "none":
        return v2.Identity()
    if level == "photo":
        scale = v2.RandomAffine(
            (0, 0), scale=(0.75, 1.5), interpolation=v2.InterpolationMode.BILINEAR, fill=fill
        )
        return v2.Compose([v2.RandomHorizontalFlip(), scale, Light()])
    if level == "cells":
        turn = v2.RandomAffine(
            degrees=(-15, 15), interpolation=v2.InterpolationMode.BILINEAR, fill=fill
        )
        flips = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), QuarterTurn()]
        return v2.Compose([*flips, turn, ElasticGrid(), Light()])
    raise ValueError(f"mask_augmentation: level must be one of {', '.join(LEVELS)}, got {level!r}")


class QuarterTurn(nn.Module):
    """Turn a square image and its mask by a random number of right angles."""

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        turns = int(torch.randint(4, ()))
        if image.shape[-1] != image.shape[-2]:
            turns -= turns % 2
        return _like(image, image.rot90(turns, (-2, -1))), _like(mask, mask.rot90(turns, (-2, -1)))


class ElasticGrid(nn.Module):
    """Deform half of the images by random displacements on a coarse grid, smooth in between.

    Args:
        deviation: of a displacement in pixels.

    Source: Ronneberger et al., 2015, arXiv:1505.04597, section 3.1.
    """

    def __init__(self, deviation: float = DEVIATION, share: float = DEFORMED_SHARE):
        super().__init__()
        self.deviation, self.share = deviation, share

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        from torchvision.transforms import v2

        if float(torch.rand(())) >= self.share:
            return image, mask
        height, width = image.shape[-2:]
        coarse = self.deviation * torch.randn(1, 2, GRID, GRID)
        fine = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        # torchvision takes parts of the half sides, x before y.
        shift = fine.permute(0, 2, 3, 1) * 2 / torch.tensor([width, height])
        moved = v2.functional.elastic(image, shift, v2.InterpolationMode.BILINEAR, fill=[0.0])
        classes = v2.functional.elastic(
            mask, shift, v2.InterpolationMode.NEAREST, fill=[float(IGNORED)]
        )
        return moved, classes


class Light(nn.Module):
    """Change contrast and brightness of the image by up to a fifth."""

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        gain, offset = (0.4 * torch.rand(2) - 0.2).tolist()
        floats = image.as_subclass(Tensor).float()
        mean = floats.mean()
        changed = (mean + (1 + gain) * (floats - mean) + 255 * offset / 2).round().clamp(0, 255)
        return _like(image, changed.to(torch.uint8)), mask


def _like(old: Tensor, new: Tensor) -> Tensor:
    """Keep what a tensor stands for: image or mask."""
    from torchvision import tv_tensors

    return tv_tensors.wrap(new.as_subclass(Tensor), like=old)  # pyright: ignore[reportCallIssue]  its overloads hide it
