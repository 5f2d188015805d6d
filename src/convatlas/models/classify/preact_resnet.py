"""ResNet with pre-activation: nothing but sums stands between the first unit and the last.

Norm and ReLU move before the convolutions, so that a unit's output is its input plus a residue and
the gradient reaches every unit undamped; a thousand layers then train better than a hundred.

Source:  He et al., ECCV 2016, arXiv:1603.05027, figure 4(e), tables 3 to 5.
Claims:  claims/preact_resnet.toml
Differs: the paper reports depths 152 and 200 on ImageNet; the others are those of ResNet.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    PreActUnit,
    ShortcutA,
    check_image,
    check_option,
    conv_without_bias,
    draw_he_normal,
    norm_relu,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.models.classify.resnet import BOTTLENECK_FROM, CHANNELS, EXPAND, REPEATS
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


def preact_unit(
    in_channels: int,
    out_channels: int,
    stride: int,
    *,
    inner: int | None = None,
    activated: bool = False,
    projects: bool = True,
    gate: nn.Module | None = None,
) -> PreActUnit:
    """Build two 3 x 3 convolutions, or a bottleneck whose stride is in the first 1 x 1.

    Args:
        inner: channels inside the bottleneck; None for two 3 x 3 convolutions.
        activated: the stem ends in norm and ReLU already.
        projects: by 1 x 1 where the shape changes, option B; else option A.
        gate: scales the residue before the sum.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """
    if inner is None:
        convs = [conv_without_bias(in_channels, out_channels, 3, stride=stride)]
        convs += [conv_without_bias(out_channels, out_channels, 3)]
    else:
        convs = [conv_without_bias(in_channels, inner, 1, stride=stride)]
        convs += [conv_without_bias(inner, inner, 3), conv_without_bias(inner, out_channels, 1)]
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or in_channels != out_channels:
        shortcut = ShortcutA(in_channels, out_channels, stride)
        if projects:
            shortcut = conv_without_bias(in_channels, out_channels, 1, stride=stride)
    return PreActUnit(convs, shortcut=shortcut, activated=activated, gate=gate)


class PreActResNet(nn.Module):
    """Image classifier, the form for ImageNet.

    Args:
        depth: 18, 34, 50, 101, 152 or 200 weighted layers; bottlenecks from 50 on.
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
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("PreActResNet", "depth", depth, REPEATS)
        self.in_channels = in_channels
        deep = depth >= BOTTLENECK_FROM
        outs = [round_channels(channels * width) * (EXPAND if deep else 1) for channels in CHANNELS]
        stem = round_channels(CHANNELS[0] * width)
        first = iter([True])  # the stem's norm and ReLU serve the first unit

        def unit(into: int, out: int, stride: int) -> nn.Module:
            inner = out // EXPAND if deep else None
            return preact_unit(into, out, stride, inner=inner, activated=next(first, False))

        self.stages = residual_stages(
            resnet_stem(in_channels, stem, stem_stride, "PreActResNet"),
            stem,
            list(zip(REPEATS[depth], outs, strict=True)),
            unit,
        )
        self.head = norm_relu(outs[-1])
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "PreActResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125)


for _depth in REPEATS:
    register(f"preact_resnet{_depth}", PreActResNet, "classify", depth=_depth)
