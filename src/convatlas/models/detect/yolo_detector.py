"""YOLOv3's way to detect: each object belongs to one prior box at the cell that holds its centre.

Source: Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, section 2.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError
from convatlas.models.detect.detector import Detector, Target, check_targets
from convatlas.models.detect.found import Found
from convatlas.models.detect.select_boxes import not_a_number, take_best
from convatlas.models.detect.yolo_losses import BOX_LOSSES, Places, box_of, yolo_losses

BOX = 4  # numbers of an offset: x, y, width, height
PRIOR_SIDE = 416  # pixels of the images that the published priors are of
PRIORS = (  # of COCO, width and height in pixels, three for each of three maps
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
TINY_PRIORS = (  # of the forms with two maps
    ((10, 14), (23, 27), (37, 58)),
    ((81, 82), (135, 169), (344, 319)),
)
FIRST_OBJECTNESS = 0.01  # of every place before training, since almost all show nothing
Priors = Sequence[Sequence[tuple[float, float]]]


class Scales(NamedTuple):
    """Sides of the smallest and the largest prior, as shares of the image's side."""

    low: float
    high: float


def scales_of_priors(priors: Priors) -> Scales:
    """Return the scales of published priors."""
    sides = [math.sqrt(w * h) / PRIOR_SIDE for row in priors for w, h in row]
    return Scales(min(sides), max(sides))


PUBLISHED = scales_of_priors(PRIORS)


def fit_priors(priors: Priors, side: float, scales: Scales) -> Tensor:
    """Return priors for images of another side, or whose objects have other sizes.

    Ratios stay; the logarithms of the sides are moved and stretched, so that the published scales
    give the published priors.

    Shape: (maps, priors of a map, 2), width and height in pixels
    """
    published = scales_of_priors(priors)
    shares = torch.tensor(priors, dtype=torch.float64) / PRIOR_SIDE
    log = shares.log().mean(2, keepdim=True)  # of the square root of the area
    stretch = math.log(scales.high / scales.low) / math.log(published.high / published.low)
    moved = math.log(scales.low) + (log - math.log(published.low)) * stretch
    return ((shares.log() - log + moved).exp() * side).float()


class YoloDetector(Detector):
    """A detector whose places answer with an offset, an objectness and a probability a class.

    `forward` returns offsets (n, places, 4) and logits (n, places, 1 + num_classes), objectness
    first; places go map by map, finest first, row by row, the priors of a cell in a row.

    Args:
        num_classes: of the objects.
        in_channels: of the images.
        image_size: side of the images in pixels, or their height and width.
        priors: published ones, of each map, finest first.
        min_scale: side of the smallest prior as a share of the image's.
        max_scale: side of the largest prior.
        box_loss: `mse`, as Darknet teaches the numbers of an offset, or `giou`, the overlap.
        score_threshold: boxes that score no more are left out.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        candidates: the best boxes of an image that are looked at.
        max_detections: boxes that `detect` gives an image.

    Raises:
        UsageError: the scales are not above 0, the lower one first, or there is no such loss.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        image_size: int | tuple[int, int],
        priors: Priors,
        min_scale: float,
        max_scale: float,
        box_loss: str,
        score_threshold: float,
        iou_threshold: float = 0.45,
        candidates: int = 1000,
        max_detections: int = 100,
    ):
        super().__init__()
        check_option(type(self).__name__, "box_loss", box_loss, BOX_LOSSES)
        if not 0 < min_scale < max_scale:
            raise UsageError(
                f"{type(self).__name__}: min_scale and max_scale must be above 0, the lower one "
                f"first, got {min_scale} and {max_scale}"
            )
        self.num_classes, self.in_channels, self.image_size = num_classes, in_channels, image_size
        self.box_loss = box_loss
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.candidates, self.max_detections = candidates, max_detections
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        fitted = fit_priors(priors, math.sqrt(height * width), Scales(min_scale, max_scale))
        self.priors: Tensor
        self.register_buffer("priors", fitted, persistent=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return what the heads put out, map by map: (n, priors * (5 + num_classes), h, w)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.rows(self.maps(images))

    def rows(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Lay answers in rows. Shape: -> offsets (n, places, 4), logits (n, places, 1 + classes)"""
        numbers = BOX + 1 + self.num_classes
        rows = [x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers)) for x in maps]
        answers = torch.cat(rows, 1)
        return answers[:, :, :BOX], answers[:, :, BOX:]

    def places(self, maps: Sequence[Tensor], images: Tensor) -> Places:
        """Return the cells and priors of all places, in the order of the rows."""
        cells, steps, sides, grids = [], [], [], []
        for x, priors in zip(maps, self.priors.float(), strict=True):
            rows, columns = int(x.shape[2]), int(x.shape[3])
            step = torch.tensor(
                [images.shape[3] / columns, images.shape[2] / rows], device=x.device
            )
            grid = torch.meshgrid(
                torch.arange(rows, device=x.device, dtype=torch.float32),
                torch.arange(columns, device=x.device, dtype=torch.float32),
                indexing="ij",
            )
            cell = torch.stack((grid[1], grid[0]), 2).reshape(-1, 1, 2)
            count = len(priors)
            cells.append(cell.expand(-1, count, -1).reshape(-1, 2))
            steps.append(step.expand(rows * columns * count, 2))
            sides.append(priors.expand(rows * columns, -1, -1).reshape(-1, 2))
            grids.append((rows, columns))
        size = torch.tensor([images.shape[3], images.shape[2]], device=images.device)
        return Places(torch.cat(cells), torch.cat(steps), torch.cat(sides), tuple(grids), size)

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return `objectness`, `classification` and `boxes`."""
        return self._losses_of(self.maps(images), images, targets)

    def detect(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._select(self.maps(images), images)

    def judge(self, images: Tensor, targets: Sequence[Target]) -> tuple[dict[str, Tensor], Found]:
        maps = self.maps(images)
        return self._losses_of(maps, images, targets), Found(*self._select(maps, images))

    def _losses_of(
        self, maps: list[Tensor], images: Tensor, targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        check_targets(type(self).__name__, targets, len(images))
        offsets, logits = self.rows(maps)
        places = self.places(maps, images)
        return yolo_losses(offsets.float(), logits.float(), places, targets, self.box_loss)

    def _select(self, maps: list[Tensor], images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        offsets, logits = self.rows(maps)
        offsets, logits = offsets.float(), logits.float()
        scores = logits[..., :1].sigmoid() * logits[..., 1:].sigmoid()
        best, chosen, labels = take_best(scores, self.candidates)
        moves = offsets.gather(1, chosen.unsqueeze(-1).expand(-1, -1, BOX))
        boxes = box_of(moves, self.places(maps, images).pick(chosen))
        odd = not_a_number(logits, offsets)
        return self.chosen(boxes, best, labels, images.shape[-2:], odd)


class YoloHead(nn.Module):
    """For each map a 1 x 1 that answers for its priors, behind a 3 x 3 or not.

    Args:
        in_channels: of the maps.
        wide: channels of the 3 x 3 of each map; 0 leaves it out.
        conv: builds that 3 x 3.
        priors: of a cell.
        num_classes: of the objects.

    Shape: list of (n, in_channels[i], h, w) -> list of (n, priors * (5 + num_classes), h, w)
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        wide: Sequence[int],
        conv: Callable[[int, int], nn.Module],
        *,
        priors: int,
        num_classes: int,
    ):
        super().__init__()
        self.parts = nn.ModuleList()
        for channels, more in zip(in_channels, wide, strict=True):
            last = nn.Conv2d(more or channels, priors * (BOX + 1 + num_classes), 1)
            assert last.bias is not None
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            with torch.no_grad():
                bias = last.bias.view(priors, -1)
                bias[:, BOX] = -math.log((1 - FIRST_OBJECTNESS) / FIRST_OBJECTNESS)
            self.parts.append(nn.Sequential(conv(channels, more), last) if more else last)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [part(x) for part, x in zip(self.parts, maps, strict=True)]
