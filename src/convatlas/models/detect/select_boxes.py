"""From a score for each place and class to the few boxes that are an answer, in fixed shapes.

The suppression is an operator of our own around torchvision's, which returns as many numbers as
boxes stay: with a mask instead a program can be exported for any batch, and the file for ONNX
holds one `NonMaxSuppression` (see `deploy/onnx_operators.py`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def take_best(scores: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best scores of each item, best first, with their places and classes.

    Shape: (n, places, classes) -> three of (n, min(count, places * classes))
    """
    classes = scores.shape[-1]
    count = min(count, scores.shape[1] * classes)
    best, flat = scores.flatten(1).topk(count)
    return best, torch.div(flat, classes, rounding_mode="floor"), flat % classes


def not_a_number(*answers: Tensor) -> Tensor:
    """Return 0 for each item, or no number where any answer of it is none. Shape: (n, 1)

    Added to scores, it keeps a network that broke from passing for one that found nothing.
    """
    parts = [0 * each.flatten(1).sum(1, keepdim=True) for each in answers]
    return torch.cat(parts, dim=1).sum(1, keepdim=True)


def select_boxes(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    size: Sequence[int],
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut boxes at the image's border and suppress those that a better one of their class covers.

    Args:
        size: height and width of the images in pixels.
        score_threshold: boxes that score no more are left out.
        iou_threshold: of two boxes that overlap more, the better one stays.
        max_detections: boxes that are given an image; places without one are 0 throughout.

    Shape: (n, c, 4), (n, c), (n, c) -> (n, d, 4), (n, d), (n, d), best first
    """
    height, width = int(size[0]), int(size[1])
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    boxes = torch.stack((x, y), dim=-1).flatten(-2)
    # Boxes of another class are moved out of reach, so that one pass serves all classes.
    apart = boxes + (labels * (max(height, width) + 1)).unsqueeze(-1).to(boxes.dtype)
    kept = torch.ops.convatlas.kept_boxes(apart, scores, iou_threshold, score_threshold)
    scores = torch.where(kept, scores, torch.zeros_like(scores))
    scores, order = scores.topk(min(max_detections, scores.shape[1]))
    used = scores > 0
    boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 4)) * used.unsqueeze(-1)
    labels = labels.gather(1, order) * used
    missing = max_detections - scores.shape[1]
    if missing > 0:
        boxes = F.pad(boxes, (0, 0, 0, missing))
        scores, labels = F.pad(scores, (0, missing)), F.pad(labels, (0, missing))
    return boxes, scores, labels


@torch.library.custom_op("convatlas::kept_boxes", mutates_args=())
def kept_boxes(
    boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float
) -> Tensor:
    """Return which boxes of each item are not suppressed by a better one.

    Shape: (n, c, 4), (n, c) -> bool (n, c)
    """
    from torchvision.ops import nms

    kept = torch.zeros_like(scores, dtype=torch.bool)
    for row, found, score in zip(kept, boxes, scores, strict=True):
        places = (score > score_threshold).nonzero().flatten()
        row[places[nms(found[places], score[places], iou_threshold)]] = True
    return kept


@torch.library.register_fake("convatlas::kept_boxes")
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)
