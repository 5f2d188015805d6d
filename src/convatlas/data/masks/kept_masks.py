"""Images and masks of a split for training: decoded and reduced once, kept where memory allows."""

from collections.abc import Callable
from contextlib import closing

import torch
from torch import Tensor
from torch.nn import functional

from convatlas.data.free_memory import free_memory_bytes
from convatlas.data.images.annotated import AnnotatedSplit
from convatlas.data.images.read import quiet_pillow
from convatlas.data.masks.mask_files import Mask, read_mask
from convatlas.data.threads import in_threads

SHARE = 0.25  # of the free memory, that kept images may take
Pair = tuple[Tensor, Tensor]


class KeptMasks:
    """The images of a split with their masks, reduced.

    Args:
        split: the images.
        reduce: height and width become 1 / reduce.
        progress: called with the images done and their total.
        share: of the free memory that may be taken; beyond it images are decoded when asked for.
    """

    def __init__(
        self,
        split: AnnotatedSplit[Mask],
        reduce: int = 1,
        progress: Callable[[int, int], None] | None = None,
        share: float = SHARE,
    ):
        self.split, self.reduce = split, reduce
        self._pairs: dict[int, Pair] = {}
        left = share * free_memory_bytes()

        def read(index: int) -> Pair | None:
            return self._decoded(index) if left > 0 else None

        total = len(split)
        with (
            quiet_pillow(),
            closing(in_threads(read, range(total), name=split.files.__getitem__)) as pairs,
        ):
            for index, pair in enumerate(pairs):
                if pair is not None and left > 0:
                    self._pairs[index] = pair
                    left -= pair[0].numel() + pair[1].numel()
                if progress is not None:
                    progress(index + 1, total)

    def __len__(self) -> int:
        return len(self.split)

    def read(self, index: int) -> Pair:
        """Return an image and its mask. Shape: uint8 (c, h, w), uint8 (h, w)"""
        if index in self._pairs:
            return self._pairs[index]
        with quiet_pillow():
            return self._decoded(index)

    def _decoded(self, index: int) -> Pair:
        image = self.split.store.read(self.split.files[index])
        return reduced(image, read_mask(self.split, index), self.reduce)


def reduced(image: Tensor, mask: Tensor, reduce: int) -> Pair:
    """Shrink an image by averages, and its mask to the pixels in the middle of what is averaged.

    Shape: uint8 (c, h, w), uint8 (h, w) -> the same with sides of ceil(side / reduce)
    """
    if reduce == 1:
        return image, mask
    height, width = mask.shape
    right, below = -width % reduce, -height % reduce
    places = []
    for side, more in ((height, below), (width, right)):
        place = torch.arange(side + more)
        places.append(torch.where(place < side, place, 2 * side - 1 - place).clamp(min=0))
    whole = image[:, places[0]][:, :, places[1]].float()
    small = functional.avg_pool2d(whole, reduce).round().to(torch.uint8)
    rows, columns = (
        (torch.arange(-(-side // reduce)) * reduce + reduce // 2).clamp(max=side - 1)
        for side in (height, width)
    )
    return small, mask[rows][:, columns]
