"""The two losses of detectors that answer at every anchor, where almost all of it is background."""

import torch
from torch import Tensor
from torch.nn import functional as F

from convatlas.models.detect.assign_boxes import IGNORED, Assigned

NEGATIVES = 3  # times as many backgrounds as objects: SSD, section 2.2


def focal_losses(logits: Tensor, offsets: Tensor, assigned: Assigned) -> dict[str, Tensor]:
    """Return the focal loss of the classes and the absolute error of the offsets.

    Each is divided by the anchors that have an object, image by image; alpha is 0.25, gamma 2.

    Shape: logits (n, places, classes), offsets (n, places, 4)

    Source: Lin et al., 2017, arXiv:1708.02002, equation 5 and section 4.
    """
    from torchvision.ops import sigmoid_focal_loss

    classes, found = assigned.classes, assigned.classes >= 0
    wanted = F.one_hot(classes.clamp(min=0), logits.shape[-1]) * found.unsqueeze(-1)
    terms = sigmoid_focal_loss(logits, wanted.to(logits)).sum(-1)
    objects = found.sum(1).clamp(min=1)
    error = (offsets - assigned.codes).abs().sum(-1)
    return {
        "classification": ((terms * (classes != IGNORED)).sum(1) / objects).mean(),
        "boxes": ((error * found).sum(1) / objects).mean(),
    }


def softmax_losses(
    logits: Tensor, offsets: Tensor, assigned: Assigned, *, min_negatives: int = 0
) -> dict[str, Tensor]:
    """Return the cross-entropy of objects and hardest backgrounds, and the error of the offsets.

    Args:
        min_negatives: hardest backgrounds of an image that count even if it shows no object.

    Shape: logits (n, places, 1 + classes) with the background first, offsets (n, places, 4)

    Source: Liu et al., 2016, arXiv:1512.02325, equations 1 to 3 and section 2.2.
    """
    found = assigned.classes >= 0
    wanted = (assigned.classes + 1).clamp(min=0)
    terms = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
    terms = terms.view_as(wanted)
    negatives = (NEGATIVES * found.sum(1, keepdim=True)).clamp(min=min_negatives)
    hardness = terms.detach().masked_fill(found, -torch.inf)  # an object is no background
    rank = hardness.argsort(1, descending=True).argsort(1)
    counted = found | ((rank < negatives) & ~found)
    objects = found.sum().clamp(min=1)
    error = F.smooth_l1_loss(offsets, assigned.codes, reduction="none").sum(-1)
    return {
        "classification": (terms * counted).sum() / objects,
        "boxes": (error * found).sum() / objects,
    }
