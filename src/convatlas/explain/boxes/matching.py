"""Which boxes that were found are true ones, overlap by overlap, and average precision of these.

A plain second implementation beside the library of `train/box_figures.py`: it says which box is
whose, and weighs images, from which interval, curves and examples come.

Source: Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010, section 4.2,
        with the 101 recalls and ten overlaps of COCO.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou

from convatlas.models.detect.found import Found
from convatlas.train.box_figures import MAX_DETECTIONS

OVERLAPS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Matches:
    """The boxes found of one class on all images, best first.

    Args:
        scores: of each. Shape: (d,)
        images: place of its image. Shape: (d,)
        right: whether it is a true one, at each overlap. Shape: bool (10, d)
        truths: true boxes on each image. Shape: (n,)
        excused: whether it is no true one but lies in a crowd, at each overlap: it does not count.
            Shape: bool (10, d)
    """

    scores: np.ndarray
    images: np.ndarray
    right: np.ndarray
    truths: np.ndarray
    excused: np.ndarray

    def curve(
        self, overlap: int = 0, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return recall and precision behind each box, from the best score down.

        Args:
            overlap: its place among the ten.
            weights: how often each image counts; once where not given.
        """
        times = np.ones(len(self.truths)) if weights is None else weights
        counted = times[self.images] * ~self.excused[overlap]
        right = np.cumsum(counted * self.right[overlap])
        total = (times * self.truths).sum()
        return right / max(total, 1e-9), right / np.maximum(np.cumsum(counted), 1e-9)

    def average_precision(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Return average precision at each overlap; NaN where there is no true box. (10,)"""
        times = np.ones(len(self.truths)) if weights is None else weights
        if not (times * self.truths).sum():
            return np.full(len(OVERLAPS), np.nan)
        values = []
        for overlap in range(len(OVERLAPS)):
            recall, precision = self.curve(overlap, weights)
            # Precision at a recall is the best that is reached there or behind it.
            best = np.maximum.accumulate(precision[::-1])[::-1]
            places = np.searchsorted(recall, RECALLS)
            values.append(np.append(best, 0.0)[places].mean())
        return np.array(values)


def match_class(
    found: Sequence[Found],
    truth: Sequence[tuple[Tensor, Tensor]],
    label: int,
    ignored: Sequence[tuple[Tensor, Tensor]] = (),
) -> Matches:
    """Give each true box of a class the best-scoring box that overlaps it enough, image by image.

    Args:
        found: boxes of each image, best first; those with a score of 0 are none.
        truth: true boxes (k, 4) and labels (k,) of each image.
        ignored: the same of crowds.
    """
    scores, images, right, excused = [], [], [], []
    truths = np.zeros(len(truth))
    for image, (own, (boxes, labels)) in enumerate(zip(found, truth, strict=True)):
        kept = (own.labels == label) & (own.scores > 0)
        score = own.scores[kept][:MAX_DETECTIONS]
        true = boxes[labels == label]
        truths[image] = len(true)
        overlap = box_iou(own.boxes[kept][:MAX_DETECTIONS].double(), true.double())
        scores.append(score.double().numpy())
        images.append(np.full(len(score), image))
        right.append(np.stack([taken(overlap, least)[0] for least in OVERLAPS]))
        crowds = ignored[image] if ignored else (boxes[:0], labels[:0])
        share = share_inside(own.boxes[kept][:MAX_DETECTIONS], crowds[0][crowds[1] == label])
        excused.append((share.numpy() >= OVERLAPS[:, None]) & ~right[-1])
    order = np.argsort(-np.concatenate([*scores, np.zeros(0)]), kind="stable")
    return Matches(
        np.concatenate([*scores, np.zeros(0)])[order],
        np.concatenate([*images, np.zeros(0)]).astype(int)[order],
        np.concatenate([*right, np.zeros((len(OVERLAPS), 0), dtype=bool)], axis=1)[:, order],
        truths,
        np.concatenate([*excused, np.zeros((len(OVERLAPS), 0), dtype=bool)], axis=1)[:, order],
    )


def share_inside(boxes: Tensor, crowds: Tensor) -> Tensor:
    """Return which share of its area a box has inside the crowd that holds most of it.

    Shape: boxes (d, 4), crowds (j, 4) -> float64 (d,)
    """
    if not len(crowds):
        return torch.zeros(len(boxes), dtype=torch.float64)
    own, other = boxes.double()[:, None], crowds.double()[None]
    low, high = (
        torch.maximum(own[..., :2], other[..., :2]),
        torch.minimum(own[..., 2:], other[..., 2:]),
    )
    shared = (high - low).clamp(min=0).prod(-1)
    area = (own[..., 2:] - own[..., :2]).prod(-1)
    return (shared / area.clamp(min=1e-12)).amax(1)


def taken(overlap: Tensor, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which boxes, best first, get a true one, and which true ones are found.

    A box takes the true one that it overlaps most among those that are still free.

    Shape: overlap (d, k) -> bool (d,), bool (k,)
    """
    values = overlap.numpy()
    right, used = (np.zeros(count, dtype=bool) for count in values.shape)
    for row in range(len(values) if values.shape[1] else 0):
        free = np.where(used, -1.0, values[row])
        best = int(free.argmax())
        if free[best] >= least:
            right[row] = used[best] = True
    return right, used


def mean_average_precision(
    matches: Sequence[Matches], weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the mean over classes at all ten overlaps, and at the first alone."""
    values = np.stack([each.average_precision(weights) for each in matches])
    there = ~np.isnan(values[:, 0])
    if not there.any():
        return 0.0, 0.0
    return float(values[there].mean()), float(values[there, 0].mean())


def verdicts(
    found: Found, boxes: Tensor, labels: Tensor, ignored: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return which boxes found are right at an overlap of 0.5, and which true ones are found.

    What lies in a crowd is not wrong.

    Shape: bool (d,), bool (k,)
    """
    right = torch.zeros(len(found.scores), dtype=torch.bool)
    seen = torch.zeros(len(labels), dtype=torch.bool)
    for label in set(found.labels.tolist()) & set(labels.tolist()):
        ours, theirs = found.labels == label, labels == label
        overlap = box_iou(found.boxes[ours], boxes[theirs])
        got, used = taken(overlap, float(OVERLAPS[0]))
        right[ours], seen[theirs] = torch.from_numpy(got), torch.from_numpy(used)
    for label in set(ignored[1].tolist()) if ignored is not None else ():
        ours = found.labels == label
        crowds = ignored[0][ignored[1] == label] if ignored is not None else boxes[:0]
        right[ours] |= share_inside(found.boxes[ours], crowds) >= OVERLAPS[0]
    return right, seen
