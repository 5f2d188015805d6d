"""SSDLite: SSD with separable convolutions in its heads, on the networks of the MobileNet line.

Two maps of the backbone, at strides 16 and 32, and four smaller ones behind them; on each a
depthwise and a 1 x 1 convolution give every default box its classes and its offset.

Source:  Sandler et al., "MobileNetV2", CVPR 2018, arXiv:1801.04381, section 6.2; Howard et al.,
         "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, section 6.3 and table 6; Liu et
         al., "SSD", ECCV 2016, arXiv:1512.02325.
Claims:  claims/mobilenet_v3.toml
Differs: padding is symmetric, where the authors' code pads as TensorFlow does. The papers leave the
         default boxes to that code: three on the first map and six on the others, as it has them.
         On EfficientNet-Lite0 it is not published; the weights of that come with a package.
"""

import math
from functools import partial
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option
from convatlas.errors import UsageError
from convatlas.models.detect.default_boxes import default_boxes, default_kinds, spread_kinds
from convatlas.models.detect.detector import OneStage
from convatlas.models.example import image_example, tiny_build
from convatlas.models.on_shapes import run_on_shapes
from convatlas.models.registry import create_model, find_entry, register

EXTRA = (512, 256, 256, 128)  # channels of the maps behind the backbone
MIN_EXTRA = 16  # channels, at any width
STRIDES = (16, 32)  # of the two maps of the backbone
FIRST = (3, 6)  # boxes at a place of the first map
CODE_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # of SSD's offsets
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03  # of heads and extra maps, as published
WEIGHT_STD = 0.03

norm_act = partial(ConvNormAct, act=nn.ReLU6, norm_eps=NORM_EPS)


class SSDLite(OneStage):
    """Detector on two maps of a backbone and four smaller ones.

    Args:
        backbone: a network of the atlas with stages, at a stride of 32 in all.
        width: multiplies the channels of the backbone and of the extra maps.
        halved: half as many channels behind the last stride; MobileNet V3 only.
        in_channels: of the image.
        num_classes: without background.
        image_size: side of the image that `example` makes, or its height and width.
        first_boxes: default boxes at a place of the first map: 3 as in the authors' code, or 6.
        min_scale: of the boxes on the first map, as a share of the image's sides.
        max_scale: of those on the last map.
        per_octave: scales of default boxes from one to twice as large a one, each on the map that
            suits it in an image of `image_size`; 0: one a map and one between, as published.

    Shape: (n, in_channels, h, w) -> logits (n, places, 1 + num_classes) with the background first,
        offsets (n, places, 4); h and w from 1 pixel up.

    Raises:
        UsageError: the backbone has no such stages, or the scales are not from 0 to 1.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        backbone: str = "mobilenet_v2",
        width: float = 1.0,
        halved: bool = False,
        in_channels: int = 3,
        num_classes: int = 90,
        image_size: int | tuple[int, int] = 320,
        first_boxes: int = 3,
        min_scale: float = 0.2,
        max_scale: float = 0.95,
        per_octave: int = 0,
    ):
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            loss="softmax",
            code_weights=CODE_WEIGHTS,
            score_threshold=0.001,
            iou_threshold=0.55,
        )
        check_option("SSDLite", "first_boxes", first_boxes, FIRST)
        if not 0 < min_scale < max_scale <= 1:
            raise UsageError(
                f"SSDLite: min_scale and max_scale must be from 0 to 1, the lower one first, got "
                f"{min_scale} and {max_scale}"
            )
        self.image_size = image_size
        options: dict[str, Any] = {"in_channels": in_channels}
        options |= {"width": width} if width != 1 else {}
        options |= {"halved": True} if halved else {}
        # A classifier is not needed: it is built as small as it can be.
        small = {"num_classes": 1, "head": 1, "narrow_head": True}
        known = find_entry(backbone).defaults
        options |= {key: value for key, value in small.items() if key in known}
        body = create_model(backbone, **options)
        stages = getattr(body, "stages", None)
        if not isinstance(stages, nn.Sequential) or len(stages) < 2:
            raise UsageError(f"SSDLite: backbone must be a network with stages, got {backbone}")
        self.with_head = hasattr(body, "head")
        self.backbone = nn.ModuleList(split_backbone(stages, getattr(body, "head", None)))
        channels = channels_of(self.backbone, in_channels)
        extra = [max(MIN_EXTRA, int(c * width)) for c in EXTRA]
        self.extra = nn.ModuleList(
            smaller_map(into, out) for into, out in pairwise([channels[-1], *extra])
        )
        maps = len(channels) + len(extra)
        if per_octave:
            side = image_size if isinstance(image_size, int) else min(image_size)
            strides = [STRIDES[0] * 2**k / side for k in range(maps)]
            self.kinds = spread_kinds(strides, min_scale, max_scale, per_octave)
        else:
            few = first_boxes == FIRST[0]
            self.kinds = default_kinds(maps, min_scale, max_scale, few_first=few)
        heads = list(zip([*channels, *extra], map(len, self.kinds), strict=True))
        self.class_heads = nn.ModuleList(prediction(c, self.outputs * k) for c, k in heads)
        self.box_heads = nn.ModuleList(prediction(c, 4 * k) for c, k in heads)
        for module in (self.extra, self.class_heads, self.box_heads):
            draw_weights(module)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        check_image(images, "SSDLite", channels=self.in_channels, min_size=self.min_size)
        maps, x = [], images
        for part in (*self.backbone, *self.extra):
            x = part(x)
            maps.append(x)
        logits = [
            by_place(head(x), self.outputs) for head, x in zip(self.class_heads, maps, strict=True)
        ]
        offsets = [by_place(head(x), 4) for head, x in zip(self.box_heads, maps, strict=True)]
        return torch.cat(logits, dim=1), torch.cat(offsets, dim=1)

    def anchors(self, height: int, width: int) -> Tensor:
        grids = [(math.ceil(height / s), math.ceil(width / s)) for s in STRIDES]
        for _ in self.extra:
            rows, columns = grids[-1]
            grids.append((math.ceil(rows / 2), math.ceil(columns / 2)))
        return default_boxes(self.kinds, grids, height, width)

    def backbone_paths(self) -> dict[str, str]:
        """Return where the parts of the classifier stand, whose last stage is cut in two."""
        first, second = self.backbone
        assert isinstance(first, nn.Sequential)
        assert isinstance(second, nn.Sequential)
        unit = second[0]
        stages = len(first) - isinstance(unit, FromExpansion)
        paths = {f"stages.{i}": f"backbone.0.{i}" for i in range(stages)}
        rest = 0
        if isinstance(unit, FromExpansion):
            paths[f"stages.{stages}.0.expand"] = f"backbone.0.{stages}"
            for i, (name, part) in enumerate(zip(unit.names, unit.parts, strict=True)):
                if any(True for _ in part.parameters()):
                    paths[f"stages.{stages}.0.{name}"] = f"backbone.1.0.parts.{i}"
            rest = 1
        units = len(second) - self.with_head
        paths |= {f"stages.{stages}.{i}": f"backbone.1.{i}" for i in range(rest, units)}
        return paths | ({"head": f"backbone.1.{units}"} if self.with_head else {})

    example = image_example("image_size")
    tiny = tiny_build(64, backbone="mobilenet_v3_small", width=0.35)


class FromExpansion(nn.Module):
    """What is left of an inverted residual behind its first convolution; it has no shortcut.

    Shape: (n, hidden channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, unit: nn.Module):
        super().__init__()
        self.names = [name for name in ("filter", "excite", "project") if hasattr(unit, name)]
        self.parts = nn.Sequential(*(getattr(unit, name) for name in self.names))

    def forward(self, x: Tensor) -> Tensor:
        return self.parts(x)


def split_backbone(stages: nn.Sequential, head: nn.Module | None) -> tuple[nn.Module, nn.Module]:
    """Cut a classifier at the last map of stride 16, in front of the filter that halves it.

    Where the block that halves it is an inverted residual, the map is its widened input (C4 in
    MobileNet V3); else it is what the stage before puts out.
    """
    *before, last = stages
    last = list(last) if isinstance(last, nn.Sequential) else [last]
    expand = getattr(last[0], "expand", None)
    if isinstance(expand, nn.Module):
        before, last = [*before, expand], [FromExpansion(last[0]), *last[1:]]
    return nn.Sequential(*before), nn.Sequential(*last, *([head] if head is not None else []))


def channels_of(parts: nn.ModuleList, in_channels: int) -> list[int]:
    """Read the channels of the maps off one run on shapes alone."""
    found, x = [], torch.empty(1, in_channels, 64, 64, device="meta")
    for part in parts:
        x = run_on_shapes(part, x)
        found.append(x.shape[1])
    return found


def smaller_map(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build the three convolutions that halve a map. Shape: (n, c, h, w) -> (n, d, h / 2, w / 2)"""
    between = out_channels // 2
    return nn.Sequential(
        norm_act(in_channels, between, 1),
        norm_act(between, between, stride=2, groups=between),
        norm_act(between, out_channels, 1),
    )


def prediction(in_channels: int, out_channels: int) -> nn.Sequential:
    """Build a head: a filter for each channel, then a linear mix. Shape: (n, c, h, w) -> same"""
    return nn.Sequential(
        norm_act(in_channels, in_channels, groups=in_channels),
        nn.Conv2d(in_channels, out_channels, 1),
    )


def draw_weights(module: nn.Module) -> None:
    """Draw small normal weights, and let the norms' statistics follow slowly, as published."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=WEIGHT_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            part.momentum = NORM_MOMENTUM


def by_place(x: Tensor, each: int) -> Tensor:
    """Put the answers of a map's places below each other, box by box.

    Shape: (n, boxes * each, h, w) -> (n, h * w * boxes, each)
    """
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, each)


for _backbone, _widths in (
    ("mobilenet_v1", (1.0,)),
    ("mobilenet_v2", (1.0, 0.5, 0.35)),
    ("mnasnet_a1", (1.0, 0.5, 0.35)),
):
    for _width in _widths:
        _name = f"ssdlite_{_backbone}" + (f"_w{_width}" if _width < 1 else "")
        register(_name, SSDLite, "detect", backbone=_backbone, width=_width)
for _form in ("large", "small"):
    _backbone = f"mobilenet_v3_{_form}"
    register(f"ssdlite_{_backbone}", SSDLite, "detect", backbone=_backbone)
    register(f"ssdlite_{_backbone}_half_c4_c5", SSDLite, "detect", backbone=_backbone, halved=True)
register("ssdlite_efficientnet_lite0", SSDLite, "detect", backbone="efficientnet_lite0")
