"""PeleeNet: DenseNet for small devices, without depthwise convolutions; and its CSP form.

A layer adds half of its new maps by one 3 x 3 convolution and half by two, for small objects and
large ones. In the CSP form half of a stage's channels pass its dense layers by.

Source:  Wang, Li, Ling, "Pelee", NeurIPS 2018, arXiv:1804.06882, table 1; Wang et al., "CSPNet",
         CVPR-W 2020, arXiv:1911.11929, section 3.2 and figure 3.
Claims:  claims/cspnet.toml
Differs: the CSP form's layer table is not known here; gamma is 0.5, both transitions keep the
         width, and the second one's 1 x 1 stands behind its pooling.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, draw_he_normal, round_channels
from convatlas.models.registry import register

Act = Callable[[], nn.Module]
STEM, GROWTH = 32, 32
STAGES = ((3, 16), (4, 32), (8, 64), (6, 64))  # layers, channels of their 1 x 1


class Stem(nn.Module):
    """Two ways to half the size, a strided convolution and a pooling, mixed by a 1 x 1.

    Shape: (n, in_channels, h, w) -> (n, channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int, act: Act):
        super().__init__()
        half = channels // 2
        self.first = ConvNormAct(in_channels, channels, stride=stride // 2, act=act)
        self.conv = nn.Sequential(
            ConvNormAct(channels, half, 1, act=act),
            ConvNormAct(half, channels, stride=2, act=act),
        )
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.mix = ConvNormAct(2 * channels, channels, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.mix(torch.cat([self.conv(x), self.pool(x)], 1))


class TwoWayLayer(nn.Module):
    """New maps that see 3 x 3 pixels, new maps that see 5 x 5, behind the ones there are.

    Shape: (n, in_channels, h, w) -> (n, in_channels + growth, h, w)
    """

    def __init__(self, in_channels: int, growth: int, narrow: int, act: Act):
        super().__init__()
        half = growth // 2
        self.near = nn.Sequential(
            ConvNormAct(in_channels, narrow, 1, act=act), ConvNormAct(narrow, half, act=act)
        )
        self.far = nn.Sequential(
            ConvNormAct(in_channels, narrow, 1, act=act),
            ConvNormAct(narrow, half, act=act),
            ConvNormAct(half, half, act=act),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.near(x), self.far(x)], 1)


class PartialDense(nn.Module):
    """Dense layers and a transition on the second half of the channels, the first passed by.

    Args:
        through: what the second half goes through.

    Shape: (n, c, h, w) -> (n, c / 2 and what comes through, h, w)
    """

    def __init__(self, through: nn.Module):
        super().__init__()
        self.through = through

    def forward(self, x: Tensor) -> Tensor:
        past, part = x.chunk(2, 1)
        return torch.cat([past, self.through(part)], 1)


class PeleeNet(nn.Module):
    """Image classifier.

    Args:
        cross_stage: half of a stage's channels pass its dense layers by (CSP).
        swish: swish instead of ReLU.
        width: multiplies the stem, the growth and the channels of the 1 x 1 convolutions.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 4 as published; 2 leaves out the stride of the first convolution, for images
            under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 with stem_stride 2.
    """

    min_size = 29

    def __init__(
        self,
        *,
        cross_stage: bool = False,
        swish: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.05,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("PeleeNet", "stem_stride", stem_stride, (4, 2))
        self.in_channels = in_channels
        # Three poolings follow the stem, each of which needs two pixels for one.
        self.min_size = 8 * stem_stride - stem_stride + 1
        act: Act = nn.SiLU if swish else nn.ReLU
        growth = round_channels(GROWTH * width, 4)
        channels = round_channels(STEM * width, 4)
        first = Stem(in_channels, channels, stride=stem_stride, act=act)
        stages: list[list[nn.Module]] = [[first]]
        for index, (layers, base) in enumerate(STAGES):
            narrow = round_channels(base * width, 4)
            into, channels = channels, channels + layers * growth
            start = into // 2 if cross_stage else into
            dense: list[nn.Module] = [
                TwoWayLayer(start + i * growth, growth, narrow, act) for i in range(layers)
            ]
            end = start + layers * growth
            mix = ConvNormAct(channels, channels, 1, act=act)
            if cross_stage:
                dense = [PartialDense(nn.Sequential(*dense, ConvNormAct(end, end, 1, act=act)))]
            stages[-1] += dense
            if index == len(STAGES) - 1:
                stages[-1].append(mix)
            elif cross_stage:
                stages.append([nn.AvgPool2d(2), mix])
            else:
                stages[-1].append(mix)
                stages.append([nn.AvgPool2d(2)])
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "PeleeNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    def example(self, batch: int = 1, size: int = 224) -> tuple[Tensor]:
        """An input of the size that the published figures hold for."""
        return (torch.rand(batch, self.in_channels, size, size),)

    @classmethod
    def tiny(
        cls, *, in_channels: int = 3, num_classes: int = 5
    ) -> "tuple[PeleeNet, tuple[Tensor]]":
        """The smallest honest build and a batch of two: for tests and first steps."""
        model = cls(width=0.25, in_channels=in_channels, num_classes=num_classes)
        return model, model.example(batch=2, size=48)


register("peleenet", PeleeNet)
register("peleenet_swish", PeleeNet, swish=True)
register("csppeleenet", PeleeNet, cross_stage=True)
register("csppeleenet_swish", PeleeNet, cross_stage=True, swish=True)
