"""RetinaNet: a pyramid of maps, one small head for all of them, and a loss that leaves easy out.

Almost every anchor shows background. The focal loss weighs what is answered well already by next to
nothing, so that a detector without proposals learns from the rest.

Source:  Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002.
Claims:  claims/spinenet.toml, its baseline
Differs: the further maps begin at the pyramid's coarsest map, as in torchvision
         (`coarser="of_input"` is the paper's form); batch norms are trained, not frozen; boxes are
         taught by their absolute error, without the smooth part near 0.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import FeaturePyramid, check_image, round_channels
from convatlas.models.detect.detector import OneStage
from convatlas.models.detect.pyramid_anchors import RATIOS, pyramid_anchors
from convatlas.models.detect.retinanet_head import RetinaNetHead
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import create_model, register

SIDES = (32, 64, 128, 256, 512)  # of the anchors of P3 to P7, in pixels
STRIDES = (8, 16, 32, 64, 128)
STEPS = 3  # sizes of an octave


class RetinaNet(OneStage):
    """Detector on the last three maps of a classifier.

    Args:
        depth: of the ResNet that it stands on: 18, 34, 50, 101, 152 or 200.
        width: multiplies every channel count.
        in_channels: channels of the images.
        num_classes: without background. torchvision counts 91, of which COCO uses 80.
        coarser: where the two further maps begin: `of_output` or `of_input`.
        norm: of the head: `none`, or `group` as in torchvision's second version.
        score_threshold: boxes that score no more are left out.
        max_detections: boxes that `detect` gives an image.

    Shape: (n, in_channels, h, w) -> logits (n, places, num_classes), offsets (n, places, 4); h and
        w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 91,
        coarser: str = "of_output",
        norm: str = "none",
        score_threshold: float = 0.05,
        max_detections: int = 300,
    ):
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            loss="focal",
            score_threshold=score_threshold,
            max_detections=max_detections,
        )
        self.backbone: nn.Module = create_model(
            f"resnet{depth}",
            features_only=True,
            width=width,
            in_channels=in_channels,
            stride_in_3x3=True,
        )
        channels = round_channels(256 * width)
        feature_channels: list[int] = self.backbone.feature_channels  # pyright: ignore[reportAssignmentType]
        self.pyramid = FeaturePyramid(feature_channels[-3:], channels, coarser=coarser)
        self.head = RetinaNetHead(channels, self.outputs, STEPS * len(RATIOS), norm=norm)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_image(images, "RetinaNet", channels=self.in_channels, min_size=self.min_size)
        return self.head(self.pyramid(self.backbone(images)[-3:]))

    def anchors(self, height: int, width: int) -> Tensor:
        # Whole pixels, as torchvision cuts them.
        sides = [[int(side * 2 ** (step / STEPS)) for step in range(STEPS)] for side in SIDES]
        return pyramid_anchors(height, width, strides=STRIDES, sides=sides)

    example = image_example(640)
    tiny = tiny_build(64, width=0.125, depth=18, score_threshold=0.0, max_detections=20)


register("retinanet_resnet50_fpn", RetinaNet, "detect")
register("retinanet_resnet50_fpn_v2", RetinaNet, "detect", coarser="of_input", norm="group")
