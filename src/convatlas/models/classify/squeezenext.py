"""SqueezeNext: each 3 x 3 convolution becomes a 3 x 1 and a 1 x 3, behind two steps of narrowing.

Source:  Gholami et al., CVPR workshops 2018, arXiv:1803.10615; layers from the authors' network
         descriptions of 1.0-SqNxt-23, its grouped form, 2.0-SqNxt-23 and both 23v5.
Claims:  claims/squeezenext.toml
Differs: versions 2 to 4 and depths 34 and 44 are not released; they follow the rules of those that
         are, with the blocks that give the published sizes. Iterative deep aggregation (IDA) is
         not described well enough to be built.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

STEM, HEAD = 64, 128  # do not grow with the width
CHANNELS = (32, 64, 128, 256)
DEPTHS = {23: (6, 6, 8, 1), 34: (9, 9, 12, 2), 44: (12, 12, 16, 2)}  # blocks of each stage
VERSIONS = {  # the same 21 blocks, moved towards maps where the hardware is used better
    1: (6, 6, 8, 1),
    2: (6, 6, 8, 1),
    3: (4, 8, 8, 1),
    4: (2, 10, 8, 1),
    5: (2, 4, 14, 1),
}


class SeparableBlock(nn.Module):
    """Narrow twice, filter down and across, widen; and a shortcut. ReLU after every step.

    Args:
        across_first: filter by 1 x 3 and then 3 x 1, else the other way round.
        groups: of the first 1 x 1, the 3 x 1 and the 1 x 3.
        project: a 1 x 1 convolution as the shortcut, instead of the input itself.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        across_first: bool = False,
        groups: int = 1,
        project: bool = False,
    ):
        super().__init__()
        half, quarter = out_channels // 2, out_channels // 4
        first, second = ((1, 3), (3, 1)) if across_first else ((3, 1), (1, 3))
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, half, 1, stride=stride, groups=groups),
            ConvNormAct(half, quarter, 1),
            ConvNormAct(quarter, half, first, groups=groups),
            ConvNormAct(half, half, second, groups=groups),
            ConvNormAct(half, out_channels, 1),
        )
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residue(x) + self.shortcut(x))


class SqueezeNext(nn.Module):
    """Image classifier.

    Args:
        depth: 23, 34 or 44, the blocks and two.
        version: 1 to 5. From 2 on the first convolution is 5 x 5 instead of 7 x 7 and a stage
            begins with a 1 x 1 convolution of its own; 3 to 5 have other blocks a stage, and
            depth 23 only.
        width: multiplies the channels of the four stages, but not of first and last convolution.
        groups: 2 in the paper's G form, of a block's first 1 x 1 and its two filters.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up.

    Raises:
        UsageError: a version beyond 2 with another depth than 23.
    """

    def __init__(
        self,
        *,
        depth: int = 23,
        version: int = 1,
        width: float = 1.0,
        groups: int = 1,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("SqueezeNext", "depth", depth, DEPTHS if version < 3 else (23,))
        check_option("SqueezeNext", "version", version, VERSIONS)
        check_option("SqueezeNext", "groups", groups, (1, 2))
        check_option("SqueezeNext", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        kernel, stride = 7 if version == 1 else 5, 1 if stem_stride == 1 else 2
        # The first convolution is not padded, and the pooling needs two pixels for one.
        self.min_size = kernel + (stride if stem_stride == 4 else 0)
        stem = nn.Sequential(
            nn.Conv2d(in_channels, STEM, kernel, stride=stride, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(),
        )
        stages: list[list[nn.Module]] = [[stem]]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, ceil_mode=True)])
        channels, number = STEM, 0
        repeats = DEPTHS[depth] if version < 3 else VERSIONS[version]
        for index, (base, blocks) in enumerate(zip(CHANNELS, repeats, strict=True)):
            into, channels = channels, round_channels(base * width)
            first = 1 if index == 0 else 2
            if first == 2:
                stages.append([])
            if version > 1:
                stages[-1].append(ConvNormAct(into, channels, 1, stride=first))
                into, first = channels, 1
            for block in range(blocks):
                unit = SeparableBlock(
                    into if block == 0 else channels,
                    channels,
                    stride=first if block == 0 else 1,
                    # They alternate through the whole network.
                    across_first=number % 2 == 1,
                    groups=groups,
                    # Each stage's first block has one, also where the channels stay the same.
                    project=version == 1 and block == 0,
                )
                stages[-1].append(unit)
                number += 1
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = ConvNormAct(channels, HEAD, 1)
        self.classifier = nn.Linear(HEAD, num_classes)
        self.apply(_draw_weights)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SqueezeNext", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(227)
    tiny = tiny_build(65, version=5, width=0.25)


def _draw_weights(module: nn.Module) -> None:
    """Draw Xavier's weights, as the released solver does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


for _depth in DEPTHS:
    for _width in (1.0, 1.5, 2.0):
        _name = f"squeezenext{_depth}" + (f"_w{_width}" if _width > 1 else "")
        register(_name, SqueezeNext, "classify", depth=_depth, width=_width)
register("squeezenext23_g2", SqueezeNext, "classify", groups=2)
for _version in (2, 3, 4, 5):
    register(f"squeezenext23_v{_version}", SqueezeNext, "classify", version=_version)
for _version in (4, 5):
    register(
        f"squeezenext23_v{_version}_w2.0", SqueezeNext, "classify", version=_version, width=2.0
    )
