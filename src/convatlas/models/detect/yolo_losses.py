"""What YOLOv3 teaches: one prior an object, and no object where nothing overlaps one.

Source: Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, sections 2.1 and 2.2; the weights and
    the threshold from Darknet's configuration files.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

BOX_LOSSES = ("mse", "giou")
IGNORED_OVERLAP = 0.7  # a box that overlaps an object more is not called background
MAX_LOG = 4.0  # of a side over its prior's, so that no box overflows


class Places(NamedTuple):
    """Where the answers are from.

    Shape: cells (places, 2), column and row; steps (places, 2), pixels of a cell; priors
    (places, 2), width and height in pixels; grids: rows and columns of each map; size (2,), width
    and height of the image
    """

    cells: Tensor
    steps: Tensor
    priors: Tensor
    grids: tuple[tuple[int, int], ...]
    size: Tensor

    def pick(self, chosen: Tensor) -> "Places":
        """Return those of some places. Shape: int64 (...) -> (..., 2) each"""
        return self._replace(
            cells=self.cells[chosen], steps=self.steps[chosen], priors=self.priors[chosen]
        )


class Taught(NamedTuple):
    """What the places of objects are to answer, one row an object.

    Shape: images, places, labels int64 (k,); boxes (k, 4), x1 y1 x2 y2 in pixels
    """

    images: Tensor
    places: Tensor
    labels: Tensor
    boxes: Tensor


def box_of(offsets: Tensor, places: Places) -> Tensor:
    """Return the boxes that offsets stand for. Shape: (..., places, 4) -> the same, x1 y1 x2 y2"""
    centre = (places.cells + offsets[..., :2].sigmoid()) * places.steps
    half = places.priors * offsets[..., 2:].clamp(max=MAX_LOG).exp() / 2
    return torch.cat((centre - half, centre + half), -1)


def assign_priors(places: Places, targets: Sequence[Mapping[str, Tensor]]) -> Taught:
    """Give each object the prior whose shape is most like its own, at the cell of its centre.

    Where two objects would have one place, the later one has it.
    """
    device = places.cells.device
    count = len(places.cells) // sum(rows * columns for rows, columns in places.grids)
    firsts = [0]  # place of each map's first prior
    for rows, columns in places.grids[:-1]:
        firsts.append(firsts[-1] + rows * columns * count)
    steps = torch.stack([places.steps[first] for first in firsts])
    shapes = torch.cat([places.priors[first : first + count] for first in firsts])
    grids = torch.tensor(places.grids, device=device)
    first_of = torch.tensor(firsts, device=device)
    found: dict[tuple[int, int], tuple[int, Tensor]] = {}
    for number, target in enumerate(targets):
        boxes = target["boxes"].to(device=device, dtype=torch.float32)
        if not len(boxes):
            continue
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
        best = _shape_overlap(sides, shapes).argmax(1)
        level = torch.div(best, count, rounding_mode="floor")
        cell = ((boxes[:, :2] + boxes[:, 2:]) / 2 / steps[level]).floor().long()
        column = cell[:, 0].clamp(min=0).minimum(grids[level, 1] - 1)
        row = cell[:, 1].clamp(min=0).minimum(grids[level, 0] - 1)
        own = first_of[level] + (row * grids[level, 1] + column) * count + best % count
        labels = target["labels"].tolist()
        for place, label, box in zip(own.tolist(), labels, boxes, strict=True):
            found[number, place] = (label, box)
    keys = torch.tensor(list(found), device=device).reshape(-1, 2)
    labels = torch.tensor([label for label, _ in found.values()], device=device, dtype=torch.int64)
    boxes = [box for _, box in found.values()]
    rows = torch.stack(boxes) if boxes else torch.zeros(0, 4, device=device)
    return Taught(keys[:, 0].long(), keys[:, 1].long(), labels, rows)


def yolo_losses(
    offsets: Tensor,
    logits: Tensor,
    places: Places,
    targets: Sequence[Mapping[str, Tensor]],
    box_loss: str,
) -> dict[str, Tensor]:
    """Return the terms of the loss, each a sum over the places divided by the objects.

    Shape: offsets (n, places, 4), logits (n, places, 1 + classes)
    """
    taught = assign_priors(places, targets)
    objects = max(1, len(taught.labels))
    wanted = torch.zeros_like(logits[..., 0])
    wanted[taught.images, taught.places] = 1
    counted = _background(offsets, places, targets) | (wanted > 0)
    terms = F.binary_cross_entropy_with_logits(logits[..., 0], wanted, reduction="none")
    classes = logits[taught.images, taught.places, 1:]
    kinds = F.one_hot(taught.labels, classes.shape[1]).to(classes)
    chosen = offsets[taught.images, taught.places]
    error = _box_error(chosen, places.pick(taught.places), taught.boxes, box_loss)
    return {
        "objectness": (terms * counted).sum() / objects,
        "classification": F.binary_cross_entropy_with_logits(classes, kinds, reduction="sum")
        / objects,
        "boxes": error.sum() / objects,
    }


def _box_error(offsets: Tensor, places: Places, boxes: Tensor, box_loss: str) -> Tensor:
    """Return the error of each object's box. Shape: (k, 4), places of them, (k, 4) -> (k,)"""
    if box_loss == "giou":
        from torchvision.ops import generalized_box_iou_loss

        return generalized_box_iou_loss(box_of(offsets, places), boxes)
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    within = ((boxes[:, :2] + boxes[:, 2:]) / 2 / places.steps - places.cells).clamp(0, 1)
    where = F.binary_cross_entropy_with_logits(offsets[:, :2], within, reduction="none")
    size = (offsets[:, 2:] - (sides / places.priors).log()).square() / 2
    # Small boxes count up to twice as much, as Darknet weighs them.
    weight = 2 - (sides / places.size).prod(1).clamp(max=1)
    return weight * (where + size).sum(1)


def _background(offsets: Tensor, places: Places, targets: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """Return which answers overlap no object by much. Shape: (n, places, 4) -> bool (n, places)"""
    from torchvision.ops import box_iou

    found = box_of(offsets.detach(), places)
    free = torch.ones_like(found[..., 0], dtype=torch.bool)
    for row, boxes, target in zip(free, found, targets, strict=True):
        if len(target["boxes"]):
            row &= box_iou(boxes, target["boxes"].to(boxes)).amax(1) <= IGNORED_OVERLAP
    return free


def _shape_overlap(sides: Tensor, priors: Tensor) -> Tensor:
    """Return the overlap of boxes with one middle. Shape: (k, 2), (p, 2) -> (k, p)"""
    both = sides[:, None].minimum(priors[None]).prod(2)
    return both / (sides.prod(1)[:, None] + priors.prod(1)[None] - both)
