"""DenseNet-201-Elastic: each layer looks at all maps at full and at half size.

A layer's 1 x 1 and 3 x 3 convolutions are there twice, with half of the channels between them: once
on the maps as they are and once on the pooled ones, made as large again. Their sum is what the
layer adds.

Source:  Wang et al., "ELASTIC", CVPR 2019, arXiv:1812.05262, section 3; the layers from the
         authors' code.
Claims:  claims/cspnet.toml
Differs: the authors leave the pooling out where a map has 7 x 7 pixels, here it is left out in the
         last block, the same at the published size; at odd sizes the pooling rounds up.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import check_image, draw_he_normal
from convatlas.models.classify.dense_layers import (
    NormActConv,
    dense_stages,
    scaled,
    stem,
    with_new_maps,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

GROWTH, LAYERS = 32, (10, 20, 40, 30)
BOTTLENECK = 2  # of each of the two ways; both together have what a layer of DenseNet has


class ElasticLayer(nn.Module):
    """Concatenate all maps so far and make `growth` new ones, seen at full and at half size.

    Args:
        far: pool before the second way and enlarge after it; without, both see the same size.

    Shape: list of (n, c_i, h, w), in_channels together -> (n, growth, h, w)
    """

    def __init__(self, in_channels: int, growth: int, *, far: bool = True):
        super().__init__()
        inner = BOTTLENECK * growth
        self.norm = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.near = _way(in_channels, inner, growth)
        self.far = _way(in_channels, inner, growth)
        self.pooled = far

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = self.norm(torch.cat(list(maps), dim=1))
        if not self.pooled:
            return self.near(x) + self.far(x)
        far = self.far(F.avg_pool2d(x, 2, ceil_mode=True))
        return self.near(x) + F.interpolate(far, size=x.shape[2:], mode="bilinear")


def _way(in_channels: int, inner: int, growth: int) -> nn.Sequential:
    """Build the convolutions of one way, behind the norm that both share."""
    first = nn.Conv2d(in_channels, inner, 1, bias=False)
    return nn.Sequential(first, NormActConv(inner, growth, 3))


class ElasticBlock(nn.Module):
    """Layers of which each reads the input and all layers before it; everything is passed on.

    Shape: (n, in_channels, h, w) -> (n, in_channels + layers * growth, h, w)
    """

    def __init__(self, in_channels: int, growth: int, layers: int, *, far: bool = True):
        super().__init__()
        self.layers = nn.ModuleList(
            ElasticLayer(in_channels + i * growth, growth, far=far) for i in range(layers)
        )
        self.out_channels = in_channels + layers * growth

    def forward(self, x: Tensor) -> Tensor:
        return with_new_maps(x, self.layers)


class ElasticDenseNet(nn.Module):
    """Image classifier, DenseNet-201 with its layers spread anew over the four blocks.

    Args:
        layers: in each of the four blocks.
        width: multiplies the growth and, with it, every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 29 pixels
        as published, 15 and 8 with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        layers: Sequence[int] = LAYERS,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        if len(layers) != len(LAYERS) or min(layers) < 1:
            raise ValueError(f"ElasticDenseNet: layers must be four counts, got {tuple(layers)}")
        self.in_channels = in_channels
        # Three transitions need two pixels for one; the stem rounds up.
        self.min_size = 7 * stem_stride + 1
        growth = scaled(GROWTH, width)
        first = stem(in_channels, 2 * growth, stem_stride, "ElasticDenseNet")

        def new_block(channels: int, index: int, count: int) -> ElasticBlock:
            return ElasticBlock(channels, growth, count, far=index < len(layers) - 1)

        self.stages, channels = dense_stages(first, 2 * growth, growth, layers, new_block)
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ElasticDenseNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, layers=(4, 6, 8, 6), width=0.125)


register("densenet201_elastic", ElasticDenseNet, "classify")
