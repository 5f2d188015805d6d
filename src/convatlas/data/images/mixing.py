"""Mixing pairs of training images, and their labels in the same shares.

Source: Zhang et al., "mixup", ICLR 2018, arXiv:1710.09412, equation 2; Yun et al., "CutMix",
    ICCV 2019, arXiv:1905.04899, section 3.1; both as torchvision has them.
"""

import torch
from torch import Tensor


class Mixing:
    """Mixes each batch with itself in another order, by mixup, by cutmix, or one of both by chance.

    Args:
        mixup: alpha of the beta distribution that the share is drawn from; 0 leaves it out.
        cutmix: the same of the share of the area that is pasted.
        until: share of the run after which nothing is mixed.

    Shape: images (n, c, h, w) of float, labels (n,) -> images, shares of the classes (n, classes)
    """

    def __init__(self, classes: int, *, mixup: float = 0.0, cutmix: float = 0.0, until: float = 1):
        from torchvision.transforms import v2  # slow to import

        self._ways = [
            way(alpha=alpha, num_classes=classes)
            for way, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix))
            if alpha
        ]
        self._until, self._done = until, 0.0

    def training_progress(self, done: float) -> None:
        """Take which share of the run is done."""
        self._done = done

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if not self._ways or self._done >= self._until:
            return images, labels
        way = self._ways[int(torch.randint(len(self._ways), ()))]
        return way(images, labels)
