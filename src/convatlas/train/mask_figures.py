"""Figures of masks from one table of counts: IoU and Dice by class, their means, right pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from convatlas.metric import Metric

MEAN_IOU = Metric("mean_iou", "mean IoU", "%")


def count_pixels(found: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels by true class (rows) and found class (columns).

    Pixels whose true value is no class, such as those to be ignored, count nowhere.

    Shape: found and truth whole numbers of one shape -> int64 (classes, classes)
    """
    known = truth < classes
    places = truth[known].long() * classes + found[known].long().clamp(max=classes - 1)
    return places.bincount(minlength=classes * classes).reshape(classes, classes).cpu()


@dataclass(frozen=True, eq=False)
class MaskFigures:
    """What follows from counts of pixels.

    Args:
        counts: by true and found class; see `count_pixels`. Shape: (classes, classes)
    """

    counts: Tensor

    @property
    def iou(self) -> Tensor:
        """Of each class, pixels of both by pixels of either; not a number where it has none."""
        both = self.counts.diagonal().double()
        return both / (self.counts.sum(0) + self.counts.sum(1) - both)

    @property
    def dice(self) -> Tensor:
        """Of each class, twice the pixels of both by the sum of those of each."""
        both = self.counts.diagonal().double()
        return 2 * both / (self.counts.sum(0) + self.counts.sum(1))

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that are there or were found; 0..1."""
        return float(self.iou.nanmean())

    @property
    def mean_dice(self) -> float:
        """Mean over the same classes; 0..1."""
        return float(self.dice.nanmean())

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that have their true class; 0..1."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    def figures(self) -> dict[str, float]:
        """Return the means by their keys; the first one decides."""
        return {
            MEAN_IOU.key: self.mean_iou,
            "mean_dice": self.mean_dice,
            "pixel_accuracy": self.pixel_accuracy,
        }


def make_counts(classes: int) -> Tensor:
    """Make a table of zeros to add to."""
    return torch.zeros(classes, classes, dtype=torch.int64)
