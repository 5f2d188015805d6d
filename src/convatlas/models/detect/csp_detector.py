"""Detectors on CSP backbones: YOLOv3's head behind PANet, PRN, or the fusions of the CSPNet paper.

The exact fusion model (EFM) gives each scale what its priors can see: itself, the next finer and
the next coarser scale, and no more.

Source:  Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, sections 3.2 and 4; PANet, SPP and
         the YOLO forms from the configuration files of the authors' repository, PRN from that of
         YOLOv3-tiny-PRN.
Claims:  claims/csp_detection.toml
Differs: the layers of EFM and GFM are not published: they are the smallest that the text describes,
         128 channels wide. Priors are shares of the image, where Darknet keeps their pixels. The
         loss is divided by the objects, and every place begins with an objectness of 0.01.
"""

from functools import partial
from typing import Any

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.classify.darknet_units import leaky
from convatlas.models.detect.csp_necks import PartialResidual, PathAggregation, TopDown
from convatlas.models.detect.fusion_necks import FUSIONS, Fusion
from convatlas.models.detect.yolo_detector import (
    PRIORS,
    PUBLISHED,
    TINY_PRIORS,
    YoloDetector,
    YoloHead,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.features import FeatureMaps
from convatlas.models.registry import create_model, register

NECKS = (*FUSIONS, "prn", "yolo", "yolo_fpn", "panet")
CHANNELS = 128  # of the finest map


class CSPDetector(YoloDetector):
    """Detector on the last maps of a classifier with stages.

    Args:
        backbone: a network of the atlas with stages, at strides of 8, 16 and 32.
        neck: `fpn`, `gfm` or `efm` as the paper compares them; `prn` on two maps; `yolo` is
            YOLOv3's, `yolo_fpn` has lateral convolutions, `panet` also the way back.
        spp: pyramid pooling on the coarsest map; all necks but `prn`.
        attention: a gate for each pixel of each map (SAM); `fpn`, `gfm` and `efm` only.
        swish: swish instead of leaky ReLU behind the backbone, whose own name says the same.
        width: multiplies the channels of the backbone, the neck and the head.
        in_channels: channels of the images.
        num_classes: of the objects; COCO's 80.
        image_size: side of the images in pixels, or their height and width.
        min_scale: side of the smallest prior as a share of the image's; as published of COCO.
        max_scale: side of the largest prior.
        box_loss: `mse` or `giou`.
        score_threshold: boxes that score no more are left out.
        max_detections: boxes that `detect` gives an image.

    Shape: (n, in_channels, h, w) -> offsets (n, places, 4), logits (n, places, 1 + num_classes)
        with the objectness first; h and w from `min_size` up.

    Raises:
        UsageError: there is no such neck or loss, or the neck takes no such part.
    """

    def __init__(
        self,
        *,
        backbone: str = "csppeleenet",
        neck: str = "efm",
        spp: bool = False,
        attention: bool = False,
        swish: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 80,
        image_size: int | tuple[int, int] = 416,
        min_scale: float = PUBLISHED.low,
        max_scale: float = PUBLISHED.high,
        box_loss: str = "mse",
        score_threshold: float = 0.005,
        max_detections: int = 100,
    ):
        check_option("CSPDetector", "neck", neck, NECKS)
        check_option("CSPDetector", "spp", spp, (False,) if neck == "prn" else (False, True))
        fusion = neck in FUSIONS
        check_option("CSPDetector", "attention", attention, (False, True) if fusion else (False,))
        priors = TINY_PRIORS if neck == "prn" else PRIORS
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            image_size=image_size,
            priors=priors,
            min_scale=min_scale,
            max_scale=max_scale,
            box_loss=box_loss,
            score_threshold=score_threshold,
            max_detections=max_detections,
        )
        body: Any = create_model(backbone, width=width, in_channels=in_channels, num_classes=1)
        self.min_size: int = body.min_size
        self.backbone = FeatureMaps(body, backbone)
        found = self.backbone.feature_channels[-len(priors) :]
        act = nn.SiLU if swish else leaky
        channels = round_channels(CHANNELS * width)
        if fusion:
            self.neck: nn.Module = Fusion(
                neck, found, channels, act=act, spp=spp, attention=attention
            )
        elif neck == "prn":
            self.neck = PartialResidual(found, channels, act=act)
        elif neck == "panet":
            self.neck = PathAggregation(found, channels, act=act, spp=spp)
        else:
            self.neck = TopDown(found, channels, act=act, lateral=neck == "yolo_fpn", spp=spp)
        outs: list[int] = self.neck.out_channels  # pyright: ignore[reportAssignmentType]
        self.head = YoloHead(
            outs,
            [0 if neck == "prn" else 2 * out for out in outs],
            partial(ConvNormAct, act=act),
            priors=len(priors[0]),
            num_classes=num_classes,
        )

    def maps(self, images: Tensor) -> list[Tensor]:
        check_image(images, "CSPDetector", channels=self.in_channels, min_size=self.min_size)
        return self.head(self.neck(self.backbone(images)[-len(self.head.parts) :]))

    example = image_example("image_size")
    tiny = tiny_build(64, width=0.25, score_threshold=0.0, max_detections=20)


for _neck in ("fpn", "gfm", "efm"):
    register(f"csppeleenet_{_neck}", CSPDetector, "detect", neck=_neck)
register("csppeleenet_efm_sam", CSPDetector, "detect", attention=True)
register("csppeleenet_prn", CSPDetector, "detect", neck="prn")
register(
    "csppeleenet_swish_prn",
    CSPDetector,
    "detect",
    backbone="csppeleenet_swish",
    neck="prn",
    swish=True,
)
register("peleenet_prn", CSPDetector, "detect", backbone="peleenet", neck="prn")
for _backbone in ("cspresnext50", "cspresnet50", "cspdarknet53"):
    for _neck in ("panet", "yolo"):
        register(
            f"{_backbone}_{_neck}_spp",
            CSPDetector,
            "detect",
            backbone=_backbone,
            neck=_neck,
            spp=True,
            image_size=512,
        )
