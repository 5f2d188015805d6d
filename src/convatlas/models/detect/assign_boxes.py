"""Which anchor is to answer which object, and by what offset: torchvision's matchers and coder."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

BACKGROUND, IGNORED = -1, -2  # as torchvision's matchers mark them
SSD_OVERLAP = 0.5  # SSD, section 2.2
FOCAL_OVERLAPS = (0.5, 0.4)  # RetinaNet, section 4: from here an object, below there background

Weights = tuple[float, float, float, float]


class Assigned(NamedTuple):
    """What the anchors of each image are to answer.

    Shape: classes (n, places), BACKGROUND or IGNORED where there is none; codes (n, places, 4),
    offsets of the objects from their anchors, 0 where there is none
    """

    classes: Tensor
    codes: Tensor


def assign_boxes(
    anchors: Tensor,
    targets: Sequence[Mapping[str, Tensor]],
    weights: Weights,
    *,
    nearest: bool,
    overlaps: tuple[float, float] = FOCAL_OVERLAPS,
) -> Assigned:
    """Give each object the anchors that overlap it enough, and always the one that does so most.

    Args:
        targets: one an image, with `boxes` (k, 4) and `labels` (k,).
        weights: of the four numbers of a code.
        nearest: as SSD does, where the nearest anchor is the object's even if it overlaps another
            one more; otherwise as RetinaNet does, with anchors between the two overlaps ignored.
        overlaps: from the first on an anchor has an object, below the second it has background;
            where `nearest` is not asked for.

    Shape: anchors (places, 4)
    """
    from torchvision.models.detection import _utils as peer
    from torchvision.ops import box_iou

    if nearest:
        matcher = peer.SSDMatcher(SSD_OVERLAP)
    else:
        matcher = peer.Matcher(*overlaps, allow_low_quality_matches=True)
    coder = peer.BoxCoder(weights)
    classes, codes = [], []
    for target in targets:
        boxes, labels = target["boxes"].to(anchors), target["labels"].to(anchors.device)
        kind = torch.full((len(anchors),), BACKGROUND, device=anchors.device)
        code = torch.zeros_like(anchors)
        if len(boxes):
            match = matcher(box_iou(boxes, anchors))
            found = match >= 0
            kind = torch.where(found, labels[match.clamp(min=0)], match)
            code[found] = coder.encode_single(boxes[match[found]], anchors[found])
        classes.append(kind)
        codes.append(code)
    return Assigned(torch.stack(classes), torch.stack(codes))


def decode_boxes(codes: Tensor, anchors: Tensor, weights: Weights) -> Tensor:
    """Move anchors by coded offsets. Shape: (n, c, 4), (n, c, 4) -> (n, c, 4)"""
    from torchvision.models.detection._utils import BoxCoder

    moved = BoxCoder(weights).decode_single(codes.flatten(0, 1), anchors.flatten(0, 1))
    return moved.reshape(codes.shape)
