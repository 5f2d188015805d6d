"""PeleeNet: DenseNet for small devices, without depthwise convolutions; and its CSP forms.

A layer adds half of its new maps by one 3 x 3 convolution and half by two, for small objects and
large ones. In the CSP forms a share of a stage's channels passes its dense layers by.

Source:  Wang, Li, Ling, "Pelee", NeurIPS 2018, arXiv:1804.06882, table 1; Wang et al., "CSPNet",
         CVPR-W 2020, arXiv:1911.11929, section 3.2 and figures 3 and 4.
Claims:  claims/cspnet.toml
Differs: the layer tables of the CSP forms are not known here; they are inferred from the published
         counts. The first stage, of 32 channels, has PeleeNet's own transition; the later ones keep
         the width in both transitions, with the second one's 1 x 1 behind its pooling. Where the
         gates stand is inferred too: behind each layer's 1 x 1 convolutions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, draw_he_normal, round_channels
from convatlas.models.classify.partial_dense import PartialDense, check_partial
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite

Act = Callable[[], nn.Module]
STEM, GROWTH = 32, 32
REDUCTION = 16  # of the gates
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

    Args:
        gates: squeeze and excitation behind each of the two 1 x 1 convolutions.

    Shape: (n, in_channels, h, w) -> (n, in_channels + growth, h, w)
    """

    def __init__(
        self, in_channels: int, growth: int, narrow: int, act: Act, *, gates: bool = False
    ):
        super().__init__()
        half = growth // 2

        def first() -> nn.Sequential:
            conv = ConvNormAct(in_channels, narrow, 1, act=act)
            if gates:
                conv.append(SqueezeExcite(narrow, hidden=max(1, narrow // REDUCTION)))
            return conv

        self.near = nn.Sequential(first(), ConvNormAct(narrow, half, act=act))
        self.far = nn.Sequential(
            first(), ConvNormAct(narrow, half, act=act), ConvNormAct(half, half, act=act)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.near(x), self.far(x)], 1)


class PeleeNet(nn.Module):
    """Image classifier.

    Args:
        partial: share of a stage's channels that passes its dense layers by, from 0 to below 1; 0
            is PeleeNet, 0.5 its published CSP form.
        fusion: where the two parts meet: `csp` has a transition before and one after it, `first`
            only the one after, `last` only the one before. For partial above 0.
        swish: swish instead of ReLU.
        gates: squeeze and excitation in each layer.
        width: multiplies the stem, the growth and the channels of the 1 x 1 convolutions.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 4 as published; 2 leaves out the stride of the first convolution, for images
            under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 with stem_stride 2.
    """

    def __init__(
        self,
        *,
        partial: float = 0.0,
        fusion: str = "csp",
        swish: bool = False,
        gates: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.05,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("PeleeNet", "stem_stride", stem_stride, (4, 2))
        check_partial("PeleeNet", partial, fusion)
        self.in_channels = in_channels
        # Three poolings follow the stem, each of which needs two pixels for one.
        self.min_size = 8 * stem_stride - stem_stride + 1
        act: Act = nn.SiLU if swish else nn.ReLU
        growth = round_channels(GROWTH * width, 4)
        channels = round_channels(STEM * width, 4)
        first = Stem(in_channels, channels, stride=stem_stride, act=act)
        stages: list[list[nn.Module]] = [[first]]
        for index, (layers, base) in enumerate(STAGES):
            past = int(channels * partial)
            narrow = round_channels(base * width, 4)
            inputs = [channels - past + i * growth for i in range(layers + 1)]
            dense: list[nn.Module] = [
                TwoWayLayer(start, growth, narrow, act, gates=gates) for start in inputs[:-1]
            ]
            channels = past + inputs[-1]
            # PeleeNet's own transition, also of the first stage of every other form.
            two = partial > 0 and index > 0
            if two and fusion != "first":
                dense.append(ConvNormAct(inputs[-1], inputs[-1], 1, act=act))
            stages[-1] += [PartialDense(past, nn.Sequential(*dense))] if partial else dense
            mix: list[nn.Module] = (
                [] if two and fusion == "last" else [ConvNormAct(channels, channels, 1, act=act)]
            )
            pool: list[nn.Module] = [nn.AvgPool2d(2)] if index < len(STAGES) - 1 else []
            if two and pool:
                stages.append([*pool, *mix])
            else:
                stages[-1] += mix
                stages += [[each] for each in pool]
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "PeleeNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(48, width=0.25)


register("peleenet", PeleeNet, "classify")
register("peleenet_swish", PeleeNet, "classify", swish=True)
register("peleenet_swish_se", PeleeNet, "classify", swish=True, gates=True)
register("peleenet_fusion_first", PeleeNet, "classify", partial=0.5, fusion="first")
register("peleenet_fusion_last", PeleeNet, "classify", partial=0.5, fusion="last")
register("csppeleenet", PeleeNet, "classify", partial=0.5)
register("csppeleenet_swish", PeleeNet, "classify", partial=0.5, swish=True)
register("csppeleenet_swish_se", PeleeNet, "classify", partial=0.5, swish=True, gates=True)
