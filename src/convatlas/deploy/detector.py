"""From an image as any library gives it to boxes in its own pixels."""

import json
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from convatlas.data.images.preprocess import Preprocess
from convatlas.deploy.classifier import CLASSES
from convatlas.deploy.predictor import Agreement, Predictor, stacked_by_size
from convatlas.models.detect.detector import Detector
from convatlas.models.detect.found import SURE_SCORE, Found

MIN_COMPARED = 0.05  # score of boxes whose numbers are compared
MIN_OVERLAP = 0.9  # from which two boxes are one and the same


class BoxDetector(Predictor):
    """Pre-processing, network and the choice of boxes as one module.

    Args:
        preprocess: uint8 images to the network's input, stretched.
        network: a detector.
        classes: names of the labels, for the exported file.
        usual: height and width of a usual image; the network's own input where not given.

    Shape: uint8 (n, h, w, channels) -> boxes float32 (n, d, 4) x1 y1 x2 y2 in pixels of the image,
        scores float32 (n, d) and labels int64 (n, d); d is the network's `max_detections`

    Raises:
        ValueError: the images are cropped or padded, so that boxes would have to be moved.
    """

    inputs = MappingProxyType({"image": {0: "n", 1: "h", 2: "w"}})
    outputs = ("boxes", "scores", "labels")
    items = "images"
    decision = "same boxes"
    usage = (
        "input `image`: uint8 (n, height, width, channels), any size; outputs `boxes` (x1 y1 x2 y2 "
        "in pixels), `scores`, `labels`, best first: a score of 0 is no box"
    )

    def __init__(
        self,
        preprocess: Preprocess,
        network: Detector,
        classes: Sequence[str] = (),
        usual: tuple[int, int] | None = None,
    ):
        super().__init__()
        if preprocess.resize.crop is not None or preprocess.resize.pad is not None:
            raise ValueError("BoxDetector: images must be stretched, not cropped or padded")
        self.preprocess, self.network = preprocess, network
        self.max_detections = network.max_detections
        self.metadata = {CLASSES: json.dumps(list(classes), ensure_ascii=False)}
        self._usual = usual or (preprocess.size, preprocess.size)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, labels = self._detect(self.preprocess(image))
        # The sides as tensors: export keeps them free.
        height, width = (torch.arange(image.shape[axis])[-1:] + 1 for axis in (1, 2))
        sides = torch.cat((width, height, width, height)).to(boxes)
        return boxes * (sides / self.preprocess.size), scores, labels

    def _detect(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        assert isinstance(self.network, Detector)
        return self.network.detect(x)

    def example(self, batch: int = 2) -> tuple[Tensor]:
        """Return random images of the usual size, not quite square. Shape: uint8 (n, h, w, c)"""
        height, width = (max(2, side) for side in self._usual)
        width += height == width  # an exporter takes equal sides for one and the same side
        shape = (batch, height, width, self.preprocess.channels)
        return (torch.randint(0, 256, shape, dtype=torch.uint8),)

    def answers(self, items: Sequence[Any], run: Callable[..., Any]) -> list[Found]:
        """Return the boxes of images of any sizes."""
        return [Found(*parts) for parts in stacked_by_size(items, run)]

    def compare(
        self, expected: Sequence[Found], answered: Sequence[Found], tolerance: float
    ) -> Agreement:
        """Compare scores, and corners as shares of the image, of boxes that score 0.05 or more.

        Two images agree where each box that scores more than 0.3 in one is in the other.
        """
        same, largest = 0, 0.0
        for ours, theirs in zip(expected, answered, strict=True):
            first, gap = _found_again(ours, theirs, tolerance)
            second, back = _found_again(theirs, ours, tolerance)
            same += first and second
            largest = max(largest, gap, back)
        return Agreement(same / max(1, len(expected)), largest)


def _found_again(ours: Found, theirs: Found, tolerance: float) -> tuple[bool, float]:
    """Whether each certain box is there again, and the largest difference of what is."""
    if not bool(ours.scores.isfinite().all()):
        return False, torch.inf
    wanted = ours.above(MIN_COMPARED)
    if not len(wanted.scores):
        return True, 0.0
    side = ours.boxes.abs().max().clamp(min=1)
    others = theirs.above(0)
    overlap = box_iou(wanted.boxes, others.boxes) * (wanted.labels[:, None] == others.labels[None])
    gaps = (wanted.scores[:, None] - others.scores[None]).abs()
    gaps = torch.maximum(gaps, (wanted.boxes[:, None] - others.boxes[None]).abs().amax(-1) / side)
    gaps = torch.where(overlap >= MIN_OVERLAP, gaps, torch.inf)
    best = gaps.amin(1) if len(others.scores) else torch.full_like(wanted.scores, torch.inf)
    there = best.isfinite()
    certain = wanted.scores > SURE_SCORE + tolerance
    largest = float(best[there].max()) if bool(there.any()) else 0.0
    return bool(there[certain].all()), largest
