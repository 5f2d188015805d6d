"""ThunderNet's own parts: context, proposals, attention, and the reading of regions.

Source: Qin et al., "ThunderNet", ICCV 2019, arXiv:1903.11752, sections 3.2 and 3.3.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.models.detect.assign_boxes import decode_boxes
from convatlas.models.detect.pyramid_anchors import pyramid_anchors
from convatlas.ops.position_sensitive import position_sensitive_align

STRIDE = 16
SIDES = 5  # of the anchors, evenly spaced in octaves
RATIOS = (0.5, 0.75, 1.0, 4 / 3, 2.0)
ANCHORS = SIDES * len(RATIOS)
BINS = 7
PLAIN = (1.0, 1.0, 1.0, 1.0)  # weights of the coded offsets of proposals


class ContextEnhancement(nn.Module):
    """Sum the maps of two scales and the mean of the whole image, each through a 1 x 1.

    Shape: (n, fine, h, w), (n, coarse, about h / 2, about w / 2) -> (n, channels, h, w)
    """

    def __init__(self, fine: int, coarse: int, channels: int):
        super().__init__()
        self.fine = nn.Conv2d(fine, channels, 1)
        self.coarse = nn.Conv2d(coarse, channels, 1)
        self.whole = nn.Conv2d(coarse, channels, 1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        size = [fine.shape[2], fine.shape[3]]
        near = self.fine(fine) + F.interpolate(self.coarse(coarse), size)
        return near + self.whole(coarse.mean((2, 3), keepdim=True))


class ProposalHead(nn.Module):
    """A 5 x 5 filter for each channel and a 1 x 1, then two logits and an offset for each anchor.

    Shape: (n, channels, h, w) -> maps (n, hidden, h, w), logits (n, places, 2), offsets
        (n, places, 4)
    """

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.mix = nn.Conv2d(channels, hidden, 1)
        self.object = nn.Conv2d(hidden, ANCHORS * 2, 1)
        self.boxes = nn.Conv2d(hidden, ANCHORS * 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y = self.mix(self.filter(x).relu()).relu()
        logits, offsets = self.object(y), self.boxes(y)
        return y, _by_place(logits, 2), _by_place(offsets, 4)


class SpatialAttention(nn.Module):
    """Weigh the maps that regions are read from by what found the proposals.

    Shape: (n, channels, h, w), (n, hidden, h, w) -> (n, channels, h, w)
    """

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.conv = nn.Conv2d(hidden, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, found: Tensor) -> Tensor:
        return x * self.norm(self.conv(found)).sigmoid()


def anchor_sides(side: float, low: float, high: float) -> list[float]:
    """Return the sides of square anchors in pixels, each by the same factor larger.

    Args:
        side: of the image in pixels.
        low: share of it that the smallest anchor has.
        high: share of it that the largest anchor has.
    """
    return [side * low * (high / low) ** (step / (SIDES - 1)) for step in range(SIDES)]


def place_anchors(sides: Sequence[float]) -> Tensor:
    """Return the anchors of a place around its first corner. Shape: (25, 4), x1 y1 x2 y2"""
    return pyramid_anchors(STRIDE, STRIDE, strides=(STRIDE,), sides=(sides,), ratios=RATIOS)


def anchors_of(maps: Tensor, around: Tensor) -> Tensor:
    """Return the anchors of every place of maps, those of a place in a row.

    They are made of tensors alone, so that tracers follow.

    Shape: (n, c, h, w), (25, 4) -> (h * w * 25, 4), x1 y1 x2 y2 in pixels
    """
    ones = torch.ones_like(maps[0, 0], dtype=torch.float32)
    y, x = (ones.cumsum(side) - 0.5 for side in (0, 1))
    centres = STRIDE * torch.stack([x, y, x, y], 2).flatten(0, 1)
    return (centres.unsqueeze(1) + around.to(centres.device, centres.dtype)).flatten(0, 1)


def propose(
    logits: Tensor, offsets: Tensor, anchors: Tensor, images: Tensor, *, candidates: int, count: int
) -> Tensor:
    """Return the best boxes that do not cover each other; no gradient goes through them.

    If fewer are left, the best of those that are covered follow, and last those that lie outside
    the image: the number is always the same.

    Args:
        images: whose borders cut the boxes.
        candidates: best anchors that are looked at.
        count: boxes an image.

    Shape: logits (n, places, 2), offsets (n, places, 4), anchors (places, 4) -> (n, count, 4)
    """
    logits, offsets = logits.detach().float(), offsets.detach().float()
    scores, best = logits.softmax(2)[:, :, 1].topk(candidates, 1)
    codes = offsets.gather(1, best.unsqueeze(2).expand(-1, -1, 4))
    boxes = decode_boxes(codes, anchors[best], PLAIN)
    x = boxes[:, :, 0::2].clamp(0, images.shape[3])
    y = boxes[:, :, 1::2].clamp(0, images.shape[2])
    boxes = torch.stack([x, y], 3).flatten(2)
    scores = scores * has_area(boxes)
    kept = torch.ops.convatlas.kept_boxes(boxes, scores, 0.7, 0.0)
    order = (scores + kept.to(scores.dtype)).topk(count, 1)[1]
    return boxes.gather(1, order.unsqueeze(2).expand(-1, -1, 4))


def has_area(boxes: Tensor) -> Tensor:
    """Return which boxes are more than a line or a point. Shape: (..., 4) -> bool (...)"""
    return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def read_regions(maps: Tensor, regions: Tensor, images: Tensor) -> Tensor:
    """Read 7 x 7 bins of each region by PSRoI align, torchvision's where it can be used.

    Shape: (n, c * 49, h, w), (r, 4), (r,) -> (r, c * 49)
    """
    maps = maps.float()
    if torch.compiler.is_exporting():  # exporters have no rule for torchvision's operator
        read = position_sensitive_align(maps, regions, images, scale=1 / STRIDE, bins=BINS)
    else:
        import torchvision  # noqa: F401  registers the operator

        boxes = torch.cat([images.to(regions.dtype).unsqueeze(1), regions], 1)
        read = torch.ops.torchvision.ps_roi_align(maps, boxes, 1 / STRIDE, BINS, BINS, 2)[0]
    return read.flatten(1)


def _by_place(x: Tensor, numbers: int) -> Tensor:
    """Lay answers in rows. Shape: (n, a * numbers, h, w) -> (n, places, numbers)"""
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers))
