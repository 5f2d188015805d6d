"""RetinaNet on SpineNet: the maps of a scale-permuted backbone need no pyramid behind them.

Source:  Du et al., "SpineNet", CVPR 2020, arXiv:1912.05027, table 1; the heads of the mobile forms
         from the authors' repository.
Claims:  claims/spinenet.toml
Differs: boxes are taught by their absolute error, where the paper's Huber loss is smooth below 0.1;
         published counts are those of 90 classes, the numbers that COCO gives its 80.
"""

from typing import Final, NamedTuple

from torch import Tensor, nn

from convatlas.blocks import check_image
from convatlas.models.classify.spinenet_backbone import SpineNetBackbone
from convatlas.models.detect.detector import OneStage
from convatlas.models.detect.pyramid_anchors import RATIOS, octaves, pyramid_anchors
from convatlas.models.detect.retinanet_head import RetinaNetHead
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

STEPS = 3  # sizes of an octave


class Head(NamedTuple):
    """What goes with a form of the backbone."""

    size: int  # side of the published images in pixels
    depth: int = 4  # convolutions of a tower
    side: float = 3.0  # of a map's smallest anchor, over the map's stride


HEADS = {
    "49s": Head(640),
    "49": Head(640),
    "96": Head(1024),
    "143": Head(1280, side=4.0),
    "143l": Head(1280, side=4.0),
    "190": Head(1280, depth=7, side=4.0),
    "r35_sp18": Head(640),
    "r23_sp30": Head(640),
    "r14_sp39": Head(640),
    "r0_sp53": Head(640),
    "49xs_mobile": Head(256),
    "49s_mobile": Head(384),
    "49_mobile": Head(384),
}


class SpineNetRetinaNet(OneStage):
    """Detector: a SpineNet and RetinaNet's head, with batch norms of each map's own.

    Args:
        form: of the backbone, as in `SpineNet`.
        width: multiplies every channel count on top of the form's own scale.
        in_channels: channels of the images.
        num_classes: without background.
        stem_stride: as in `SpineNet`: 4, of mobile forms 2; anchors shrink with it.
        swish: swish instead of ReLU in the backbone, as in the longest training (protocol C).
        score_threshold: boxes that score no more are left out.
        max_detections: boxes that `detect` gives an image.

    Shape: (n, in_channels, h, w) -> logits (n, places, num_classes), offsets (n, places, 4); h and
        w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "49",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 90,
        stem_stride: int = 4,
        swish: bool = False,
        score_threshold: float = 0.05,
        max_detections: int = 100,
    ):
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            loss="focal",
            score_threshold=score_threshold,
            max_detections=max_detections,
        )
        self.backbone = SpineNetBackbone(
            form=form, width=width, in_channels=in_channels, stem_stride=stem_stride, swish=swish
        )
        self.published = HEADS[form]
        self.image_size = self.published.size
        self.head = RetinaNetHead(
            self.backbone.feature_channels[0],
            self.outputs,
            STEPS * len(RATIOS),
            depth=self.published.depth,
            norm="batch",
            separable=self.backbone.mobile,
            act=nn.SiLU if swish else nn.ReLU,
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_image(images, "SpineNetRetinaNet", channels=self.in_channels, min_size=self.min_size)
        return self.head(self.backbone(images))

    def anchors(self, height: int, width: int) -> Tensor:
        strides = self.backbone.feature_strides
        sides = [octaves(self.published.side * stride, STEPS) for stride in strides]
        return pyramid_anchors(height, width, strides=strides, sides=sides, centred=True)

    example = image_example("image_size")
    tiny = tiny_build(64, width=0.125, score_threshold=0.0, max_detections=20)


for _form in ("49s", "49", "96", "143", "190"):
    register(f"spinenet{_form}_retinanet", SpineNetRetinaNet, "detect", form=_form)
for _form in ("49xs_mobile", "49s_mobile", "49_mobile"):
    register(f"spinenet{_form}_retinanet", SpineNetRetinaNet, "detect", form=_form, stem_stride=2)
for _form in ("r35_sp18", "r23_sp30", "r14_sp39", "r0_sp53"):
    register(f"retinanet_{_form}", SpineNetRetinaNet, "detect", form=_form)
