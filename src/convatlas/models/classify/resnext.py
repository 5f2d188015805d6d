"""ResNeXt: a bottleneck whose 3 x 3 convolution works in many small groups.

Source:  Xie et al., CVPR 2017, arXiv:1611.05431, table 1.
Claims:  claims/senet.toml, which trains it again with its squeeze-and-excitation forms.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    check_image,
    check_option,
    draw_he_normal,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.errors import UsageError
from convatlas.models.classify.resnet import CHANNELS, EXPAND, REPEATS, Bottleneck
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

DEPTHS = (50, 101, 152)


def grouped_channels(channels: int, groups: int, group_width: int) -> int:
    """Return the channels inside a bottleneck: `group_width` a group where ResNet has 64.

    Args:
        channels: inside ResNet's bottleneck at the same place.

    Raises:
        UsageError: no group, or no channel in one.
    """
    if groups < 1 or group_width < 1:
        raise UsageError(
            f"ResNeXt: groups and group_width must be 1 or more, got {groups} and {group_width}"
        )
    return round_channels(channels * groups * group_width / CHANNELS[0], groups)


class ResNeXt(nn.Module):
    """Image classifier.

    Args:
        depth: 50, 101 or 152 weighted layers.
        groups: of the 3 x 3 convolutions, the paper's cardinality.
        group_width: channels of each group in the first stage.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 50,
        groups: int = 32,
        group_width: int = 4,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("ResNeXt", "depth", depth, DEPTHS)
        self.in_channels = in_channels
        narrow = [round_channels(channels * width) for channels in CHANNELS]

        def unit(into: int, out: int, stride: int) -> nn.Module:
            inner = grouped_channels(out // EXPAND, groups, group_width)
            return Bottleneck(
                into, out, inner=inner, stride=stride, stride_in_3x3=True, groups=groups
            )

        self.stages = residual_stages(
            resnet_stem(in_channels, narrow[0], stem_stride, "ResNeXt"),
            narrow[0],
            [(n, c * EXPAND) for n, c in zip(REPEATS[depth], narrow, strict=True)],
            unit,
        )
        self.classifier = nn.Linear(narrow[-1] * EXPAND, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ResNeXt", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125, groups=4)


register("resnext50_32x4d", ResNeXt, "classify", depth=50)
register("resnext101_32x4d", ResNeXt, "classify", depth=101)
