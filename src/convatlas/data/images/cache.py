"""Training images at the network's size: decoded once and kept, where memory or disk allows."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from convatlas.data.free_memory import free_memory_bytes
from convatlas.data.images.disk_room import disk_tensor
from convatlas.data.images.image_data import Split
from convatlas.data.images.read import quiet_pillow
from convatlas.data.images.resize import STRETCH, Resize, resize_image
from convatlas.data.images.scan import Progress
from convatlas.data.threads import in_threads

# Times the square's side that a JPEG is decoded at, at least: then the filter that makes the square
# hides where the decoder has shrunk it by itself (Pillow's `thumbnail` has the same).
ENOUGH = 2
MIN_REPORTED = 64  # progress is reported once in this many images


class CachedImages(Dataset[tuple[Tensor, int]]):
    """A split at one size, as a dataset of (uint8 image, label).

    Resized with the filter of `Preprocess` and rounded back to 8 bits; of a JPEG that is much
    larger the decoder gives a half, a quarter or an eighth of the size, in less time. Where all
    images fit into a share of the free memory they are decoded now and kept in `images`, or else
    in a mapped file on the disk; where neither has the room `images` is None and each is decoded
    when asked for, the images of a batch in threads, also in the workers of a DataLoader.

    Args:
        split: the images.
        size: side of the square in pixels.
        how: stretched, or the centre crop that public weights expect.
        share: of the free memory that may be taken.
        disk_share: of the free room in the temporary folder that may be taken instead.
        progress: called with the images done and their total.

    Attributes:
        disk_bytes: that the images take on the disk; 0 where they are in memory.

    Shape: each image (channels, size, size); `images` (n, channels, size, size)
    """

    def __init__(
        self,
        split: Split,
        size: int,
        *,
        how: Resize = STRETCH,
        share: float = 0.25,
        disk_share: float = 0.0,
        progress: Progress | None = None,
    ):
        self.split, self.size, self.how = split, size, how
        self.labels = torch.tensor(split.labels)
        self.images: Tensor | None = None
        self.disk_bytes = 0
        if len(split) == 0:
            return
        with quiet_pillow():
            first = self._decoded(0)
        if len(split) * first.numel() <= share * free_memory_bytes():
            self.images = torch.empty(len(split), *first.shape, dtype=torch.uint8)
        elif disk_share:
            self.images = disk_tensor((len(split), *first.shape), disk_share)
            self.disk_bytes = 0 if self.images is None else self.images.numel()
        if self.images is not None:
            self._fill(self.images, progress)

    def _fill(self, images: Tensor, progress: Progress | None) -> None:
        """Decode and resize every image into its row."""

        def place(index: int) -> None:
            images[index] = self._decoded(index)

        total = len(self.split)
        with quiet_pillow(), closing(self._threads(place, range(total))) as places:
            for done, _ in enumerate(places, start=1):
                if progress is not None and (done % MIN_REPORTED == 0 or done == total):
                    progress(done, total)

    def __len__(self) -> int:
        return len(self.split)

    def read(self, index: int) -> Tensor:
        """Return one image. Shape: uint8 (channels, size, size)"""
        if self.images is not None:
            return self.images[index]
        with quiet_pillow():
            return self._decoded(index)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.read(index), self.split.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Return the images of a batch, as a DataLoader asks for them."""
        if self.images is not None:
            return [self[index] for index in indices]
        with quiet_pillow(), closing(self._threads(self._decoded, indices)) as images:
            return [(x, self.split.labels[i]) for x, i in zip(images, indices, strict=True)]

    def _threads(
        self, work: Callable[[int], Any], indices: Sequence[int]
    ) -> Generator[Any, None, None]:
        return in_threads(work, indices, name=self.split.files.__getitem__)

    def _decoded(self, index: int) -> Tensor:
        enough = ceil(ENOUGH * self.size / (self.how.crop or 1))
        image = self.split.store.read(self.split.files[index], enough)
        return square(image, self.size, self.how)


def square(image: Tensor, size: int, how: Resize = STRETCH) -> Tensor:
    """Return one image as a square, in 8 bits. Shape: uint8 (c, h, w) -> (c, size, size)"""
    return resize_image(image, size, how).round().clamp(0, 255).to(torch.uint8)
