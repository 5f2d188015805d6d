"""SNet: ShuffleNet V2 with larger filters and more channels early, to carry a detector.

A detector needs to see far and to know edges well. So the depthwise filters are 5 x 5, which costs
little where each channel has its own, and channels are moved from the last layers to the first.

Source:  Qin et al., "ThunderNet", ICCV 2019, arXiv:1903.11752, table 1.
Claims:  claims/thundernet.toml
Differs: where a stage begins, the part without 1 x 1 in front keeps the input's channels, as in the
         authors' code.
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

REPEATS = (4, 8, 4)
CHANNELS = {  # table 1: stem, the three stages, the last 1 x 1 convolution if there is one
    49: (24, (60, 120, 240), 512),
    146: (24, (132, 264, 528), 0),
    535: (48, (248, 496, 992), 0),
}
KERNEL = 5


class PassingUnit(nn.Module):
    """Every second channel passes, the others are filtered; the order of both shuffles them.

    Shape: (n, channels, h, w) -> (n, channels, h, w), channels even
    """

    def __init__(self, channels: int):
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, channels // 2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, 0::2], self.branch(x[:, 1::2])], dim=1)


class HalvingUnit(nn.Module):
    """Both parts read the whole input at stride 2: one keeps its channels, one adds the rest.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / 2), ceil(w / 2))
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.past = nn.Sequential(
            ConvNormAct(in_channels, in_channels, KERNEL, stride=2, groups=in_channels, act=None),
            ConvNormAct(in_channels, in_channels, 1),
        )
        self.branch = _branch(in_channels, out_channels // 2, out_channels - in_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.past(x), self.branch(x)], dim=1)


def _branch(in_channels: int, channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    """Build a branch: mix, filter each channel alone without an activation, mix."""
    return nn.Sequential(
        ConvNormAct(in_channels, channels, 1),
        ConvNormAct(channels, channels, KERNEL, stride=stride, groups=channels, act=None),
        ConvNormAct(channels, out_channels, 1),
    )


class SNet(nn.Module):
    """Image classifier.

    Args:
        form: 49, 146 or 535, about its multiply-adds in millions.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: int = 49,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("SNet", "form", form, CHANNELS)
        check_option("SNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        stem, outs, last = CHANNELS[form]
        channels = _even(stem * width)
        stages: list[list[nn.Module]] = [
            [ConvNormAct(in_channels, channels, stride=1 if stem_stride == 1 else 2)]
        ]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
        for repeats, out in zip(REPEATS, outs, strict=True):
            stages.append([HalvingUnit(channels, _even(out * width))])
            channels = _even(out * width)
            stages[-1] += [PassingUnit(channels) for _ in range(repeats - 1)]
        if last:
            stages[-1].append(ConvNormAct(channels, _even(last * width), 1))
            channels = _even(last * width)
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.25)


def _even(channels: float) -> int:
    """Round to an even number, since units split their channels in halves."""
    return 2 * max(1, round(channels / 2))


for _form in CHANNELS:
    register(f"snet{_form}", SNet, "classify", form=_form)
