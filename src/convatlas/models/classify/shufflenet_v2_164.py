"""SE-ShuffleNet V2 of 164 layers: the same split and shuffle, with residuals, gates and groups.

Here half of the channels pass, and the other half is added to what a bottleneck makes of it; the
convolution inside is grouped instead of filtering each channel alone, and squeeze and excitation
scales the result.

Source:  Ma et al., "ShuffleNet V2", ECCV 2018, arXiv:1807.11164, table 6; layers from the authors'
         repository (ShuffleNet-Series, ShuffleNetV2.Large).
Claims:  claims/shufflenet_v2.toml
Differs: norms have an eps of 1e-5, there 1e-9.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    TrainingOutputs,
    check_image,
    check_option,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.squeeze_excitation import SqueezeExcite

STEM = (64, 64, 128)
REPEATS = (10, 10, 23, 10)
CHANNELS = (128, 256, 512, 1024)  # of each half
HEAD = 1280
GROUPS = 8
AUXILIARY_WEIGHTS = (0.3, 0.5, 0.7)  # behind stages 1, 2 and 3


class GatedShuffleUnit(nn.Module):
    """Deal the channels into two halves; one passes, a gated bottleneck is added to the other.

    Where the shape changes, a 3 x 3 convolution stands in the first half's way, nothing is added in
    the second, and after a stride a 1 x 1 convolution mixes both.

    Shape: (n, 2 * in_channels, h, w) -> (n, 2 * channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, first: bool = False):
        super().__init__()
        self.passing: nn.Module = nn.Identity()
        self.mix: nn.Module = nn.Identity()
        if first:
            self.passing = ConvNormAct(in_channels, channels, stride=stride, act=None)
        if stride == 2:
            self.mix = ConvNormAct(2 * channels, 2 * channels, 1)
        self.residual = not first
        self.branch = nn.Sequential(
            ConvNormAct(in_channels, channels, 1),
            ConvNormAct(channels, channels, stride=stride, groups=GROUPS),
            ConvNormAct(channels, channels, 1, act=None),
            SqueezeExcite(channels, reduction=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x[:, ::2], x[:, 1::2]  # dealing out is the shuffle of the unit before
        y = self.branch(right)
        y = right + y if self.residual else y
        return self.mix(torch.relu(torch.cat([self.passing(left), y], dim=1)))


class SEShuffleNetV2(nn.Module):
    """Image classifier.

    Args:
        repeats: units in each of the four stages.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolutions, 1 also
            their stride, for images under 64 pixels.
        auxiliary: build the three classifiers that help training; evaluation never runs them.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; in training with auxiliary
        classifiers `TrainingOutputs`, whose first field they are. h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        repeats: Sequence[int] = REPEATS,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 4,
        auxiliary: bool = False,
    ):
        super().__init__()
        check_option("SEShuffleNetV2", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        stem, into = [], in_channels
        for index, base in enumerate(STEM):
            out = 2 * round_channels(base * width / 2)
            stride = 2 if index == 0 and stem_stride > 1 else 1
            stem.append(ConvNormAct(into, out, stride=stride))
            into = out
        stages: list[list[nn.Module]] = [stem]
        if stem_stride == 4:
            stages.append([nn.MaxPool2d(3, stride=2, padding=1)])
        half = into // 2
        narrow = [round_channels(base * width) for base in CHANNELS]
        for index, (out, count) in enumerate(zip(narrow, repeats, strict=True)):
            units = [GatedShuffleUnit(half, out, stride=1 if index == 0 else 2, first=True)]
            units += [GatedShuffleUnit(out, out) for _ in range(count - 1)]
            if index == 0:
                stages[-1].extend(units)
            else:
                stages.append([*units])
            half = out
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        head = round_channels(HEAD * width)
        self.head = ConvNormAct(2 * half, head, 3)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))
        self.auxiliary: nn.ModuleList | None = None
        if auxiliary:
            self.auxiliary = nn.ModuleList(
                _auxiliary_classifier(2 * out, num_classes) for out in narrow[:-1]
            )

    def forward(self, x: Tensor) -> Tensor | TrainingOutputs:
        check_image(x, "SEShuffleNetV2", channels=self.in_channels, min_size=self.min_size)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        logits = self.classifier(self.head(x).mean((2, 3)))
        if self.auxiliary is None or not self.training:
            return logits
        tapped = zip(self.auxiliary, maps[-4:-1], strict=True)
        return TrainingOutputs(logits, [classifier(m) for classifier, m in tapped])

    def loss(
        self,
        outputs: Tensor | TrainingOutputs,
        target: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Add 0.3, 0.5 and 0.7 of the losses of the auxiliary classifiers to that of the logits."""
        if isinstance(outputs, Tensor):
            return criterion(outputs, target)
        loss = criterion(outputs.logits, target)
        for weight, logits in zip(AUXILIARY_WEIGHTS, outputs.auxiliary, strict=True):
            loss = loss + weight * criterion(logits, target)
        return loss

    example = image_example(224)
    tiny = tiny_build(64, repeats=(1, 2, 1, 1), width=0.125, auxiliary=True)


def _auxiliary_classifier(channels: int, num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.MaxPool2d(3, stride=2, padding=1),
        ConvNormAct(channels, channels, 1),
        ConvNormAct(channels, channels, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_classes),
    )


register("se_shufflenet_v2_164", SEShuffleNetV2, "classify")
