"""CSPMobileNet V2: where a stage halves the size, its widened input also passes the blocks by.

Source:  Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, table 3; the layers from the
         configuration file of the authors' repository.
Claims:  claims/cspnet.toml
"""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, draw_he_normal, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

FIRST, HEAD = 16, 640  # the stem has twice as many channels as the first stage
STAGES = (  # channels that both parts read; what each block of the one part puts out
    (48, (24, 24)),
    (72, (32, 32, 32, 64, 64, 64, 64)),
    (192, (96, 96, 96)),
    (288, (160, 160, 160, 320)),
)
WIDEN = 3  # a block's 1 x 1; its depthwise filters then make two maps of each


class Block(nn.Module):
    """Widen, two filters a channel, project without activation; add the input where it fits.

    Args:
        widened: the input is wide already, and the first 1 x 1 left out.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, widened: bool = False
    ):
        super().__init__()
        wide = in_channels if widened else WIDEN * in_channels
        layers = [] if widened else [ConvNormAct(in_channels, wide, 1)]
        self.residue = nn.Sequential(
            *layers,
            ConvNormAct(wide, 2 * wide, stride=stride, groups=wide),
            ConvNormAct(2 * wide, out_channels, 1, act=None),
        )
        self.residual = not widened and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.residue(x)
        return x + y if self.residual else y


class Partial(nn.Module):
    """Two parts that read the same input, concatenated: through the blocks, and past them.

    Shape: (n, in_channels, h, w) -> (n, what both put out, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, through: nn.Module, past: nn.Module):
        super().__init__()
        self.through, self.past = through, past

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.through(x), self.past(x)], 1)


def _first(channels: int, out_channels: int) -> Partial:
    """Build the only stage at half the size: one block without widening."""
    through = nn.Sequential(
        ConvNormAct(channels, channels, 1),
        ConvNormAct(channels, channels, groups=channels),
        ConvNormAct(channels, out_channels, 1, act=None),
    )
    return Partial(through, ConvNormAct(channels, out_channels, groups=out_channels))


class CSPMobileNetV2(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 2,
    ):
        super().__init__()
        check_option("CSPMobileNetV2", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        first = round_channels(FIRST * width)
        stem = ConvNormAct(in_channels, 2 * first, stride=stem_stride)
        stages: list[list[nn.Module]] = [[stem, _first(2 * first, first)]]
        channels = 2 * first
        for base, outs in STAGES:
            wide = round_channels(base * width)
            # The 1 x 1 that widens belongs to the resolution before it.
            stages[-1].append(ConvNormAct(channels, wide, 1))
            narrow = [round_channels(out * width) for out in outs]
            blocks = [Block(wide, narrow[0], stride=2, widened=True)]
            blocks += [Block(a, b) for a, b in pairwise(narrow)]
            past = ConvNormAct(wide, wide, stride=2, groups=wide)
            stages.append([Partial(nn.Sequential(*blocks), past)])
            channels = narrow[-1] + wide
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        head = round_channels(HEAD * width)
        self.head = ConvNormAct(channels, head, 1)
        self.classifier = nn.Linear(head, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "CSPMobileNetV2", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


register("cspmobilenet_v2", CSPMobileNetV2, "classify")
