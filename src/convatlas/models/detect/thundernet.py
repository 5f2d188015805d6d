"""ThunderNet: a detector in two steps whose second step is as light as its backbone.

Proposals and regions share one map at 1/16 of the image, whose 245 channels are 5 for each of 49
bins. It holds context of a coarser scale and of the whole image, and is weighed by the features
that found the proposals, so that background is dark before any region is read.

Source:  Qin et al., ICCV 2019, arXiv:1903.11752, figure 2 and section 3.
Claims:  claims/thundernet.toml
Differs: the proposal head has biases and no batch norms, two logits an anchor, and the second step
         one hidden layer, with which the published cost is reached; boxes are suppressed, not
         scored lower (soft NMS); hard examples are drawn at random, not sorted (OHEM).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convatlas.blocks import check_image
from convatlas.errors import UsageError
from convatlas.models.detect.assign_boxes import decode_boxes
from convatlas.models.detect.detector import Detector, Target, check_targets
from convatlas.models.detect.found import Found
from convatlas.models.detect.select_boxes import not_a_number, take_best
from convatlas.models.detect.thundernet_losses import (
    REGION_WEIGHTS,
    draw_regions,
    proposal_losses,
    region_losses,
)
from convatlas.models.detect.thundernet_parts import (
    ANCHORS,
    BINS,
    STRIDE,
    ContextEnhancement,
    ProposalHead,
    SpatialAttention,
    anchor_sides,
    anchors_of,
    has_area,
    place_anchors,
    propose,
    read_regions,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import create_model, register


class ThunderNet(Detector):
    """Detector in two steps on an SNet.

    Args:
        form: of the backbone: 49, 146 or 535.
        width: multiplies every channel count.
        in_channels: channels of the images.
        num_classes: without background; COCO's 80.
        image_size: side of the images in pixels, or their height and width. Smaller ones have fewer
            anchors than `candidates`; all of these are then looked at.
        min_scale: side of the smallest anchors as a share of the image's; as published 32 pixels.
        max_scale: side of the largest anchors; as published 512 pixels.
        proposals: regions of an image that are read.
        candidates: best anchors that proposals are chosen from.
        score_threshold: boxes that score no more are left out.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        max_detections: boxes that `detect` gives an image.

    Shape: (n, in_channels, h, w) -> of the anchors logits (n, places, 2) and offsets
        (n, places, 4); proposals (n, proposals, 4) in pixels; their logits
        (n, proposals, 1 + num_classes), background first, and offsets (n, proposals, 4). h and w
        from `min_size` up.

    Raises:
        UsageError: the scales are not above 0, the lower one first.
    """

    def __init__(
        self,
        *,
        form: int = 49,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 80,
        image_size: int | tuple[int, int] = 320,
        min_scale: float = 0.1,
        max_scale: float = 1.6,
        proposals: int = 200,
        candidates: int = 1000,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ):
        super().__init__()
        self.num_classes, self.in_channels = num_classes, in_channels
        if not 0 < min_scale < max_scale:
            raise UsageError(
                f"ThunderNet: min_scale and max_scale must be above 0, the lower one first, got "
                f"{min_scale} and {max_scale}"
            )
        self.image_size = image_size
        height, width_px = (image_size, image_size) if isinstance(image_size, int) else image_size
        places = math.ceil(min(height, width_px) / STRIDE) ** 2  # so that no side decides alone
        self.candidates = min(max(candidates, proposals), ANCHORS * places)
        self.proposals = min(proposals, self.candidates)
        sides = anchor_sides(math.sqrt(height * width_px), min_scale, max_scale)
        self.place_anchors: Tensor
        self.register_buffer("place_anchors", place_anchors(sides), persistent=False)
        self.score_threshold, self.iou_threshold = score_threshold, iou_threshold
        self.max_detections = max_detections
        # The smallest square whose places have as many anchors as are looked at.
        self.min_size = STRIDE * (math.ceil(math.sqrt(self.candidates / ANCHORS)) - 1) + 1
        self.backbone: nn.Module = create_model(
            f"snet{form}", features_only=True, width=width, in_channels=in_channels
        )
        maps: list[int] = self.backbone.feature_channels  # pyright: ignore[reportAssignmentType]
        channels = max(1, round(5 * width)) * BINS**2
        hidden, wide = max(1, round(256 * width)), max(1, round(1024 * width))
        self.context = ContextEnhancement(maps[-2], maps[-1], channels)
        self.proposal_head = ProposalHead(channels, hidden)
        self.attention = SpatialAttention(channels, hidden)
        self.hidden = nn.Linear(channels, wide)
        self.region_classes = nn.Linear(wide, 1 + num_classes)
        self.region_boxes = nn.Linear(wide, 4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        maps, objects, moves, found = self._first_step(images)
        return objects, moves, found, *self._second_step(maps, found)

    def _maps(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps that regions are read from, and logits and offsets of the anchors."""
        features = self.backbone(images)
        context = self.context(features[-2], features[-1])
        found, objects, moves = self.proposal_head(context)
        return self.attention(context, found), objects, moves

    def _first_step(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the maps, logits and offsets of the anchors, and the proposals."""
        check_image(images, "ThunderNet", channels=self.in_channels, min_size=self.min_size)
        maps, objects, moves = self._maps(images)
        anchors = anchors_of(maps, self.place_anchors)
        counts = {"candidates": self.candidates, "count": self.proposals}
        return maps, objects, moves, propose(objects, moves, anchors, images, **counts)

    def _second_step(self, maps: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, proposals, 1 + num_classes) and offsets (n, proposals, 4)."""
        # The number of its image for each region, made of a tensor so that tracers follow.
        numbers = torch.ones_like(found[:, :, 0]).cumsum(0) - 1
        logits, offsets = self._answer(maps, found.flatten(0, 1), numbers.flatten())
        rows = (-1, self.proposals)
        return logits.unflatten(0, rows), offsets.unflatten(0, rows)

    def _answer(self, maps: Tensor, regions: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (r, 1 + num_classes) and offsets (r, 4) of regions."""
        read = read_regions(maps, regions, images).to(maps.dtype)
        y = self.hidden(read).relu()
        return self.region_classes(y), self.region_boxes(y)

    def losses(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return `proposals`, `proposal_boxes`, `classification` and `boxes`."""
        return self._losses_of(*self._first_step(images), targets)

    def detect(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._select(images, *self(images))

    def judge(self, images: Tensor, targets: Sequence[Target]) -> tuple[dict[str, Tensor], Found]:
        maps, objects, moves, found = self._first_step(images)
        answers = self._second_step(maps, found)
        boxes = Found(*self._select(images, objects, moves, found, *answers))
        return self._losses_of(maps, objects, moves, found, targets), boxes

    def _losses_of(
        self,
        maps: Tensor,
        objects: Tensor,
        moves: Tensor,
        found: Tensor,
        targets: Sequence[Target],
    ) -> dict[str, Tensor]:
        check_targets("ThunderNet", targets, len(maps))
        drawn = draw_regions(found, targets)
        logits, offsets = self._answer(maps, drawn.regions, drawn.images)
        first = proposal_losses(objects, moves, anchors_of(maps, self.place_anchors), targets)
        return first | region_losses(logits, offsets, drawn)

    def _select(
        self,
        images: Tensor,
        objects: Tensor,
        moves: Tensor,
        found: Tensor,
        logits: Tensor,
        offsets: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits, offsets = logits.float(), offsets.float()
        scores = logits.softmax(-1)[..., 1:] * has_area(found).unsqueeze(-1)
        best, places, labels = take_best(scores, self.candidates)
        places = places.unsqueeze(-1).expand(-1, -1, 4)
        boxes = decode_boxes(offsets.gather(1, places), found.gather(1, places), REGION_WEIGHTS)
        odd = not_a_number(logits, offsets, objects.float(), moves.float())
        return self.chosen(boxes, best, labels, images.shape[-2:], odd)

    example = image_example("image_size")
    tiny = tiny_build(
        64, width=0.25, proposals=12, candidates=50, score_threshold=0.0, max_detections=20
    )


for _form in (49, 146, 535):
    register(f"thundernet_snet{_form}", ThunderNet, "detect", form=_form)
