"""MobileNet V2: inverted residuals with linear bottlenecks.

A block widens its input, filters each channel alone, and projects back without an
activation, so the narrow ends carry the residual and lose nothing to ReLU.

Source:  Sandler et al., CVPR 2018, arXiv:1801.04381v4, table 2.
Claims:  claims/mobilenet_v2.toml
Differs: dropout before the classifier, which the paper does not state.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

LAYOUT = (  # table 2: expand, channels, repeats, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Expand, filter, project; add the input where both ends have the same shape.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, expand: int):
        super().__init__()
        hidden = in_channels * expand
        widen = ConvNormAct(in_channels, hidden, 1, act=nn.ReLU6)
        self.expand = widen if expand > 1 else nn.Identity()
        self.filter = ConvNormAct(hidden, hidden, 3, stride=stride, groups=hidden, act=nn.ReLU6)
        self.project = ConvNormAct(hidden, out_channels, 1, act=None)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.filter(self.expand(x)))
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count; the head grows with it but never shrinks.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        narrow_head: the head shrinks with the rest, as the authors' detectors have it.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 2,
        narrow_head: bool = False,
    ):
        super().__init__()
        check_option("MobileNetV2", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        channels = round_channels(32 * width)
        stem = ConvNormAct(in_channels, channels, stride=stem_stride, act=nn.ReLU6)
        stages: list[list[nn.Module]] = [[stem]]
        for expand, out, repeats, first in LAYOUT:
            if first == 2:
                stages.append([])
            for stride in [first] + [1] * (repeats - 1):
                into, channels = channels, round_channels(out * width)
                stages[-1].append(InvertedResidual(into, channels, stride=stride, expand=expand))
        head = round_channels(1280 * (width if narrow_head else max(1.0, width)))
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = ConvNormAct(channels, head, 1, act=nn.ReLU6)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "MobileNetV2", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


register("mobilenet_v2", MobileNetV2, "classify")
for _width in (0.35, 0.5, 0.75, 1.3, 1.4):
    register(f"mobilenet_v2_w{_width}", MobileNetV2, "classify", width=_width)
