"""What every detector is asked for, and the detectors that answer at each place of a map at once.

Source: anchors, matching and box coding as in Liu et al., "SSD", ECCV 2016, arXiv:1512.02325, and
        Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002; their
        code is torchvision's.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.models.detect.assign_boxes import assign_boxes, decode_boxes
from convatlas.models.detect.box_losses import focal_losses, softmax_losses
from convatlas.models.detect.found import Found
from convatlas.models.detect.select_boxes import not_a_number, select_boxes, take_best

Target = Mapping[str, Tensor]
LOSSES = ("focal", "softmax")


class Detector(nn.Module):
    """A network that answers with boxes.

    Its targets are one mapping an image: `boxes` (k, 4), x1 y1 x2 y2 in pixels of the tensor of
    images, and `labels` (k,), whole numbers from 0 to num_classes - 1. k may be 0.

    Attributes:
        num_classes: without background.
        in_channels: of the images.
        score_threshold: boxes that score no more are left out.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        max_detections: boxes that `detect` gives an image.
    """

    num_classes: int
    in_channels: int
    score_threshold: float
    iou_threshold: float
    max_detections: int

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return what the heads put out, which is what a count counts."""
        raise NotImplementedError

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the terms of the loss, whose sum training makes small.

        Raises:
            ValueError: there is not one target an image, or one has other shapes.
        """
        raise NotImplementedError

    def detect(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes in pixels of `images`, scores from 0 to 1 and labels, best first.

        d is `max_detections`; places without a box have a score of 0. Where an answer of the
        network is not finite, every score of that image is none either.

        Shape: (n, in_channels, h, w) -> (n, d, 4), (n, d), (n, d)
        """
        raise NotImplementedError

    def judge(self, images: Tensor, targets: Sequence[Target]) -> tuple[dict[str, Tensor], Found]:
        """Return what `losses` and `detect` do, of one run where the network can."""
        return self.losses(images, targets), Found(*self.detect(images))

    def chosen(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, size: Sequence[int], odd: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return of the best boxes those that stay, as `detect` answers.

        Args:
            size: height and width of the images in pixels.
            odd: what `not_a_number` makes of everything that the network put out. Shape: (n, 1)

        Shape: (n, c, 4), (n, c), (n, c) -> (n, d, 4), (n, d), (n, d)
        """
        boxes, scores, labels = select_boxes(
            boxes,
            scores,
            labels,
            size,
            score_threshold=self.score_threshold,
            iou_threshold=self.iou_threshold,
            max_detections=self.max_detections,
        )
        return boxes, scores + odd, labels


class OneStage(Detector):
    """A detector that gives each anchor a class and an offset in one run.

    `forward` returns logits (n, places, k) and offsets (n, places, 4), with k the classes for
    the focal loss, and background before the classes for the softmax loss.

    Args:
        num_classes: without background.
        in_channels: of the images.
        loss: `focal`, a sigmoid for each class with the focal loss, as RetinaNet; `softmax`, with
            three times as many of the hardest backgrounds as there are objects, as SSD.
        code_weights: by which the coded offsets (x, y, width, height) are multiplied.
        score_threshold: boxes that score no more are left out.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        candidates: the best boxes of an image that are looked at.
        max_detections: boxes that are given an image.
        min_negatives: hardest backgrounds of an image that count in the softmax loss even if it
            shows no object; 0 as published, where such an image teaches nothing.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        loss: str,
        code_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        candidates: int = 1000,
        max_detections: int = 100,
        min_negatives: int = 3,
    ):
        super().__init__()
        check_option(type(self).__name__, "loss", loss, LOSSES)
        self.num_classes, self.in_channels, self.loss_kind = num_classes, in_channels, loss
        self.code_weights = code_weights
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.candidates, self.max_detections = candidates, max_detections
        self.min_negatives = min_negatives

    @property
    def outputs(self) -> int:
        """Logits a place: the classes, and before them the background of a softmax."""
        return self.num_classes + (self.loss_kind == "softmax")

    def anchors(self, height: int, width: int) -> Tensor:
        """Return the boxes that the offsets are from, for images of this size in pixels.

        Shape: (places, 4), x1 y1 x2 y2, in the order of the answers; on the CPU
        """
        raise NotImplementedError

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return `classification` and `boxes`, of one run and its targets."""
        logits, offsets = self(images)
        return self.losses_of(logits, offsets, images.shape[-2:], targets)

    def losses_of(
        self, logits: Tensor, offsets: Tensor, size: Sequence[int], targets: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Return the terms of the loss of answers that were given for images of a size.

        Shape: logits (n, places, k), offsets (n, places, 4)
        """
        check_targets(type(self).__name__, targets, len(logits))
        anchors = self.anchors(int(size[0]), int(size[1])).to(offsets.device)
        nearest = self.loss_kind == "softmax"
        assigned = assign_boxes(anchors, targets, self.code_weights, nearest=nearest)
        logits, offsets = logits.float(), offsets.float()
        if self.loss_kind == "focal":
            return focal_losses(logits, offsets, assigned)
        return softmax_losses(logits, offsets, assigned, min_negatives=self.min_negatives)

    def judge(self, images: Tensor, targets: Sequence[Target]) -> tuple[dict[str, Tensor], Found]:
        logits, offsets = self(images)
        size = images.shape[-2:]
        found = Found(*self.select(logits, offsets, size))
        return self.losses_of(logits, offsets, size, targets), found

    def detect(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, offsets = self(images)
        return self.select(logits, offsets, images.shape[-2:])

    def select(
        self, logits: Tensor, offsets: Tensor, size: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the boxes, scores and labels that answers for images of a size stand for.

        Shape: logits (n, places, k), offsets (n, places, 4)
        """
        logits, offsets = logits.float(), offsets.float()
        scores = logits.sigmoid() if self.loss_kind == "focal" else logits.softmax(-1)[..., 1:]
        best, places, labels = take_best(scores, self.candidates)
        anchors = self.anchors(int(size[0]), int(size[1])).to(offsets.device)
        codes = offsets.gather(1, places.unsqueeze(-1).expand(-1, -1, 4))
        boxes = decode_boxes(codes, anchors[places], self.code_weights)
        return self.chosen(boxes, best, labels, size, not_a_number(logits, offsets))


def check_targets(model: str, targets: Sequence[Target], images: int) -> None:
    """Refuse targets of another number or shape than the images have.

    Raises:
        ValueError: names the first thing wrong.
    """
    if len(targets) != images:
        raise ValueError(f"{model}: must be given a target an image, got {len(targets)}/{images}")
    for target in targets:
        boxes, labels = target["boxes"], target["labels"]
        if boxes.shape != (len(labels), 4) or labels.dtype != torch.int64:
            raise ValueError(
                f"{model}: a target must have boxes (k, 4) and int64 labels (k,), got "
                f"{tuple(boxes.shape)} and {labels.dtype} {tuple(labels.shape)}"
            )
