"""VGG-16 as a front end: class scores for every eighth pixel, with the filters it was trained with.

The last two poolings are left out, and every layer behind them reads pixels two and four times as
far apart. What was a classifier becomes convolutions: fc6 is a filter of 7 x 7 over the maps.

Source:  Yu, Koltun, ICLR 2016, arXiv:1511.07122, section 4 and the authors' network definition; the
         other heads from Chen et al., "DeepLab", 2016, arXiv:1606.00915, section 4 (figure 7).
Differs: DeepLab's forms keep poolings of stride 1 where here there are none.
"""

from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option, round_channels
from convatlas.errors import UsageError
from convatlas.models.classify.vgg import CHANNELS, CONFIGS, HIDDEN

KERNELS = CONFIGS["D"]
POOLED = 3  # poolings that are kept; the fourth and the fifth are left out
HEADS = ("dense", "large_fov", "aspp")
PADDINGS = ("valid", "same")
FIELD_HIDDEN = 1024  # channels of fc6 and fc7 in DeepLab's heads
FIELD_DILATION = 12
PYRAMID = (6, 12, 18, 24)  # dilations of the four branches of ASPP-L


class VGGFrontEnd(nn.Module):
    """Class scores of an image from VGG-16 with dilation.

    Args:
        in_channels: channels of the image.
        num_classes: of a pixel.
        head: `dense`, fc6 and fc7 as VGG-16 has them; `large_fov`, a 3 x 3 fc6 of dilation 12; or
            `aspp`, four of them with dilations from 6 to 24, whose scores are added.
        padding: `valid`, as published, sees 186 pixels at each side that it does not answer for;
            `same` fills maps with zeros.
        width: multiplies every channel count.
        dropout: share of the values zeroed behind fc6 and fc7 in training.

    Shape: (n, in_channels, h, w) -> (n, num_classes, h', w'), h' = (h - 372) / 8 where padding is
        `valid` and h / 8 where it is `same`

    Raises:
        UsageError: ASPP without padding: its branches would answer for different pixels.
    """

    stride: Final = 2**POOLED
    margin: Final = 186

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        head: str = "dense",
        padding: str = "valid",
        width: float = 1.0,
        dropout: float = 0.5,
    ):
        super().__init__()
        check_option("VGGFrontEnd", "head", head, HEADS)
        check_option("VGGFrontEnd", "padding", padding, PADDINGS)
        if head == "aspp" and padding == "valid":
            raise UsageError(
                "VGGFrontEnd: head='aspp' needs padding='same', because its four branches see "
                "different distances"
            )
        stages, channels = [], in_channels
        for index, (base, kernels) in enumerate(zip(CHANNELS, KERNELS, strict=True)):
            # Layers stand where the classifier has them, so that its weights have the same names.
            layers: list[nn.Module] = []
            if index > 0:
                layers.append(nn.MaxPool2d(2) if index <= POOLED else nn.Identity())
            dilation = 1 if index <= POOLED else 2
            for kernel in kernels:
                into, channels = channels, round_channels(base * width)
                layers += [_conv(into, channels, kernel, dilation, padding), nn.ReLU()]
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        if head == "dense":
            fields, hidden = [(7, 4)], round_channels(HIDDEN * width)
        else:
            dilations = PYRAMID if head == "aspp" else (FIELD_DILATION,)
            fields, hidden = [(3, d) for d in dilations], round_channels(FIELD_HIDDEN * width)
        self.heads = nn.ModuleList(
            _head(channels, hidden, num_classes, kernel, dilation, padding, dropout)
            for kernel, dilation in fields
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]  it has one
        for scores in (head_[-1] for head_ in self.heads):  # pyright: ignore[reportIndexIssue]
            nn.init.normal_(scores.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stages(x)
        scores = [head(maps) for head in self.heads]
        return scores[0] if len(scores) == 1 else torch.stack(scores).sum(0)


def _conv(into: int, out: int, kernel: int, dilation: int, padding: str) -> nn.Conv2d:
    around = dilation * (kernel // 2) if padding == "same" else 0
    return nn.Conv2d(into, out, kernel, padding=around, dilation=dilation)


def _head(
    channels: int,
    hidden: int,
    num_classes: int,
    kernel: int,
    dilation: int,
    padding: str,
    dropout: float,
) -> nn.Sequential:
    """Build fc6, fc7 and the scores as convolutions."""
    return nn.Sequential(
        _conv(channels, hidden, kernel, dilation, padding),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(hidden, hidden, 1),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Conv2d(hidden, num_classes, 1),
    )
