"""What ThunderNet is taught: which anchors hold an object, and what the regions show.

Source: Qin et al., "ThunderNet", 2019, arXiv:1903.11752, section 4.1; numbers of the authors' code.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.models.detect.assign_boxes import assign_boxes
from convatlas.models.detect.detector import Target
from convatlas.models.detect.thundernet_parts import PLAIN

ANCHOR_OVERLAPS = (0.7, 0.3)  # from here an object, below there background
REGION_OVERLAPS = (0.5, 0.5)
REGION_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of the coded offsets: deviations of 0.1 and 0.2
ANCHORS_DRAWN, ANCHORS_WITH_OBJECT = 256, 0.5
REGIONS_DRAWN, REGIONS_WITH_OBJECT = 512, 0.25


class Drawn(NamedTuple):
    """Regions drawn for the second step.

    Shape: regions (r, 4), images (r,), classes (r,) with 0 for background, codes (r, 4)
    """

    regions: Tensor
    images: Tensor
    classes: Tensor
    codes: Tensor


def draw_regions(found: Tensor, targets: Sequence[Target]) -> Drawn:
    """Draw regions among the proposals and the objects' own boxes, with what they are to answer.

    Shape: found (n, count, 4)
    """
    parts = []
    for number, (proposals, target) in enumerate(zip(found, targets, strict=True)):
        regions = torch.cat([proposals, target["boxes"].to(proposals)])
        assigned = assign_boxes(
            regions, [target], REGION_WEIGHTS, nearest=False, overlaps=REGION_OVERLAPS
        )
        classes, codes = assigned.classes[0] + 1, assigned.codes[0]
        chosen = _draw(classes, REGIONS_DRAWN, REGIONS_WITH_OBJECT)
        images = torch.full_like(classes[chosen], number)
        parts.append((regions[chosen], images, classes[chosen], codes[chosen]))
    return Drawn(*(torch.cat(column) for column in zip(*parts, strict=True)))


def proposal_losses(
    logits: Tensor, offsets: Tensor, anchors: Tensor, targets: Sequence[Target]
) -> dict[str, Tensor]:
    """Return the cross-entropy of drawn anchors and the absolute error of their offsets.

    Shape: logits (n, places, 2), offsets (n, places, 4), anchors (places, 4)
    """
    objects = [{**t, "labels": torch.zeros_like(t["labels"])} for t in targets]
    assigned = assign_boxes(anchors, objects, PLAIN, nearest=False, overlaps=ANCHOR_OVERLAPS)
    wanted = assigned.classes + 1  # 1 object, 0 background, below 0 neither
    chosen = torch.stack([_draw(row, ANCHORS_DRAWN, ANCHORS_WITH_OBJECT) for row in wanted])
    return _losses(
        ("proposals", "proposal_boxes"),
        logits[chosen],
        offsets[chosen],
        wanted[chosen],
        assigned.codes[chosen],
    )


def region_losses(logits: Tensor, offsets: Tensor, drawn: Drawn) -> dict[str, Tensor]:
    """Return the same of the regions that were drawn. Shape: logits (r, 1 + k), offsets (r, 4)"""
    names = ("classification", "boxes")
    return _losses(names, logits, offsets, drawn.classes, drawn.codes)


def _losses(
    names: tuple[str, str], logits: Tensor, offsets: Tensor, classes: Tensor, codes: Tensor
) -> dict[str, Tensor]:
    error = (offsets.float() - codes).abs().sum(1) * (classes > 0)
    entropy = F.cross_entropy(logits.float(), classes, reduction="sum")
    count = max(1, len(classes))
    return {names[0]: entropy / count, names[1]: error.sum() / count}


def _draw(classes: Tensor, count: int, share: float) -> Tensor:
    """Choose places by chance, at most a share of them with an object. Shape: (k,) -> bool (k,)"""
    from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

    positive, negative = BalancedPositiveNegativeSampler(count, share)([classes])
    return (positive[0] | negative[0]).bool()
