"""EfficientNet: a small network from a search, and one rule that makes it wider, deeper, finer.

Source:  Tan, Le, ICML 2019, arXiv:1905.11946, tables 1 and 2; the coefficients of each size, and
         the Lite form, from the authors' repository.
Claims:  claims/efficientnet.toml
Differs: padding is symmetric, as in most ports, where the released code pads as TensorFlow does
         (`padding="same"`); starting weights are torch's.
"""

import math
from functools import partial
from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import (
    ConvNormAct,
    MBConv,
    SameConv,
    check_image,
    check_option,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.drop_path import linear_survival

STEM, HEAD = 32, 1280
LAYOUT = (  # table 1: expand, kernel, channels, repeats, stride of the first
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
SIZES = {  # width, depth, image side, dropout
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}
LITE_SIZES = {
    "lite0": (1.0, 1.0, 224, 0.2),
    "lite1": (1.0, 1.1, 240, 0.2),
    "lite2": (1.1, 1.2, 260, 0.3),
    "lite3": (1.2, 1.4, 280, 0.3),
    "lite4": (1.4, 1.8, 300, 0.3),
}


class EfficientNet(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        depth: multiplies the blocks of each stage, rounded up.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        survival: chance in training that the last block is not skipped; the first always stays,
            and those between lie on a line.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        image_size: side of the image that `example` makes; the network is the same for every size.
        padding: "symmetric", or "same" as TensorFlow pads, which weights trained there need.
        norm_eps: added to the variance by normalisation; 1e-3 as released, some ports have 1e-5.
        lite: the form for phones and fixed-point arithmetic: no squeeze and excitation, ReLU6, and
            a stem, first and last stage, and head that do not grow.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        depth: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        survival: float = 0.8,
        stem_stride: int = 2,
        image_size: int = 224,
        padding: str = "symmetric",
        norm_eps: float = 1e-3,
        lite: bool = False,
    ):
        super().__init__()
        check_option("EfficientNet", "stem_stride", stem_stride, (2, 1))
        check_option("EfficientNet", "padding", padding, ("symmetric", "same"))
        self.in_channels, self.image_size = in_channels, image_size
        self.repeats = _repeats(depth, lite=lite)
        conv = partial(
            ConvNormAct,
            act=nn.ReLU6 if lite else nn.SiLU,
            norm_eps=norm_eps,
            conv=SameConv if padding == "same" else nn.Conv2d,
        )
        channels = STEM if lite else round_channels(STEM * width)
        stages: list[list[nn.Module]] = [[conv(in_channels, channels, 3, stride=stem_stride)]]
        blocks, number = sum(self.repeats), 0
        for (expand, kernel, out, _, first), repeats in zip(LAYOUT, self.repeats, strict=True):
            if first == 2:
                stages.append([])
            for stride in [first] + [1] * (repeats - 1):
                into, channels = channels, round_channels(out * width)
                block = MBConv(
                    into,
                    channels,
                    kernel,
                    stride=stride,
                    expand=expand,
                    hidden=0 if lite else into // 4,
                    hidden_act=F.silu,
                    survival=linear_survival(number, blocks - 1, last=survival),
                    conv=conv,
                )
                stages[-1].append(block)
                number += 1
        head = HEAD if lite else round_channels(HEAD * width)
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = conv(channels, head, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "EfficientNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example("image_size")
    tiny = tiny_build(64, width=0.25, survival=1.0)


def _repeats(depth: float, *, lite: bool) -> tuple[int, ...]:
    """Count the blocks of each stage."""
    last = len(LAYOUT) - 1
    return tuple(
        repeats if lite and row in (0, last) else math.ceil(depth * repeats)
        for row, (_, _, _, repeats, _) in enumerate(LAYOUT)
    )


for _form, (_width, _depth, _size, _dropout) in {**SIZES, **LITE_SIZES}.items():
    _lite = _form in LITE_SIZES
    register(
        f"efficientnet_{_form}",
        EfficientNet,
        "classify",
        width=_width,
        depth=_depth,
        image_size=_size,
        dropout=_dropout,
        padding="same" if _lite else "symmetric",
        lite=_lite,
    )
# Table 7: the small network made larger in one way only, and in all three.
register("efficientnet_b0_d4.0", EfficientNet, "classify", depth=4.0)
register("efficientnet_b0_w2.0", EfficientNet, "classify", width=2.0)
register("efficientnet_b0_r448", EfficientNet, "classify", image_size=448)
register(
    "efficientnet_b0_d1.4_w1.2_r291", EfficientNet, "classify", depth=1.4, width=1.2, image_size=291
)
