"""SENet-154: the squeeze-and-excitation network that won the ImageNet challenge of 2017.

An SE-ResNeXt of 152 layers in 64 groups, with a stem of three small convolutions, 3 x 3 projections
where the resolution halves, and first 1 x 1 convolutions half as wide.

Source:  Hu, Shen, Sun, Albanie, Wu, TPAMI 2020, arXiv:1709.01507, section 5.1 and its appendix.
Claims:  claims/senet.toml
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    check_option,
    draw_he_normal,
    residual_stages,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite

LAYOUT = (  # units, outer channels; the 3 x 3 convolution has as many, the first 1 x 1 half of them
    (3, 256),
    (8, 512),
    (36, 1024),
    (3, 2048),
)
STEM = (64, 64, 128)


class SE154Unit(nn.Module):
    """Bottleneck in groups, squeeze and excitation, and a projection that sees 3 x 3 pixels.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, groups: int, reduction: int
    ):
        super().__init__()
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, out_channels // 2, 1),
            ConvNormAct(out_channels // 2, out_channels, 3, stride=stride, groups=groups),
            ConvNormAct(out_channels, out_channels, 1, act=None),
            SqueezeExcite(out_channels, reduction=min(reduction, out_channels)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            kernel = 1 if stride == 1 else 3
            self.shortcut = ConvNormAct(in_channels, out_channels, kernel, stride=stride, act=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residue(x) + self.shortcut(x))


class SENet154(nn.Module):
    """Image classifier.

    Args:
        groups: of the 3 x 3 convolutions.
        reduction: channels over hidden units of squeeze and excitation.
        dropout: share of the pooled features zeroed in training.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the stem; 1 also the stride
            of its first convolution, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 3 pixels up, from 1
        where the stem does not pool.
    """

    def __init__(
        self,
        *,
        groups: int = 64,
        reduction: int = 16,
        dropout: float = 0.2,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("SENet154", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        self.min_size = 3 if stem_stride == 4 else 1
        stem: list[nn.Module] = []
        channels = in_channels
        for index, base in enumerate(STEM):
            into, channels = channels, round_channels(base * width)
            stride = 2 if index == 0 and stem_stride > 1 else 1
            stem.append(ConvNormAct(into, channels, 3, stride=stride))
        pool: list[nn.Module] = []
        if stem_stride == 4:
            pool = [nn.MaxPool2d(3, stride=2, ceil_mode=True)]

        def unit(into: int, out: int, stride: int) -> nn.Module:
            return SE154Unit(into, out, stride=stride, groups=groups, reduction=reduction)

        # Half of the outer channels must fall into whole groups as well.
        layout = [(n, round_channels(c * width, 2 * groups)) for n, c in LAYOUT]
        self.stages = residual_stages((stem, pool), channels, layout, unit)
        out_channels = layout[-1][1]
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(out_channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SENet154", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.03125, groups=4, reduction=2, dropout=0.0)


register("senet154", SENet154, "classify")
