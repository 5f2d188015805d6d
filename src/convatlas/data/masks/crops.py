"""What a segmentation network is trained and validated on: windows of images, all of one size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.masks.kept_masks import Pair
from convatlas.data.masks.mask_files import IGNORED


class Pairs(Protocol):
    """Images with their masks."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Pair:
        """Return an image and its mask. Shape: uint8 (c, h, w), uint8 (h, w)"""
        ...


@dataclass(frozen=True)
class CropSize:
    """How large windows are along each axis of the image.

    Args:
        seen: pixels that the network takes.
        margin: of them at each side, that it does not answer for.
    """

    seen: Sequence[int]
    margin: Sequence[int]

    @property
    def answered(self) -> list[int]:
        """Pixels that the network answers for."""
        return [seen - 2 * margin for seen, margin in zip(self.seen, self.margin, strict=True)]

    def cut(self, image: Tensor, mask: Tensor, begins: Sequence[int]) -> Pair:
        """Cut a window whose answered part begins at these pixels, mirrored outside the image.

        Outside the image no pixel has a class.

        Shape: image (c, h, w), mask (h, w) -> the same with the sides `seen`
        """
        for axis, (seen, margin) in enumerate(zip(self.seen, self.margin, strict=True)):
            side = mask.shape[axis]
            places = torch.arange(seen) + (begins[axis] - margin)
            mirrored = torch.remainder(places, 2 * side)
            mirrored = torch.where(mirrored < side, mirrored, 2 * side - 1 - mirrored)
            image = image.index_select(axis + 1, mirrored)
            mask = mask.index_select(axis, mirrored)
            outside = (places < 0) | (places >= side)
            if outside.any():
                mask = mask.index_fill(axis, outside.nonzero()[:, 0], IGNORED)
        return image, mask

    def inner(self, mask: Tensor) -> Tensor:
        """Return the part of a window's mask that is answered for."""
        for axis, (length, margin) in enumerate(zip(self.answered, self.margin, strict=True)):
            mask = mask.narrow(axis, margin, length)
        return mask


class RandomCrops(Dataset[tuple[Tensor, ...]]):
    """A random window of each image, changed at random.

    Args:
        pairs: images and masks.
        size: of the windows.
        augment: changes image and mask together, as torchvision's transforms.
        weigh: gives how much each pixel counts, from a mask.
    """

    def __init__(
        self,
        pairs: Pairs,
        size: CropSize,
        augment: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        weigh: Callable[[Tensor], Tensor] | None = None,
    ):
        self.pairs, self.size, self.augment, self.weigh = pairs, size, augment, weigh

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        from torchvision import tv_tensors

        image, mask = self.pairs.read(index)
        begins = []
        for side, length in zip(mask.shape, self.size.answered, strict=True):
            free = side - length
            # A smaller image lies somewhere in its window.
            begins.append(int(torch.randint(min(0, free), max(0, free) + 1, ())))
        image, mask = self.size.cut(image, mask, begins)
        if self.augment is not None:
            image, mask = self.augment(tv_tensors.Image(image), tv_tensors.Mask(mask))
            image, mask = image.as_subclass(Tensor), mask.as_subclass(Tensor)
        inner = self.size.inner(mask)
        weights = () if self.weigh is None else (self.weigh(inner),)
        return image.contiguous(), inner.long(), *weights


class GridCrops(Dataset[tuple[Tensor, Tensor]]):
    """Windows that cover every pixel of every image once, for validation.

    Args:
        pairs: images and masks.
        size: of the windows.
        chosen: places of the images; all where not given.
    """

    def __init__(self, pairs: Pairs, size: CropSize, chosen: Sequence[int] | None = None):
        self.pairs, self.size = pairs, size
        self._windows: list[tuple[int, list[int]]] = []
        for index in range(len(pairs)) if chosen is None else chosen:
            sides = pairs.read(index)[1].shape
            begins = [
                torch.arange(0, side, length)
                for side, length in zip(sides, size.answered, strict=True)
            ]
            for place in torch.cartesian_prod(*begins):
                self._windows.append((index, place.tolist()))

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        place, begins = self._windows[index]
        image, mask = self.size.cut(*self.pairs.read(place), begins)
        return image.contiguous(), self.size.inner(mask).long()
