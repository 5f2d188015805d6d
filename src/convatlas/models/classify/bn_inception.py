"""BN-Inception: GoogLeNet with batch normalisation, which makes deep networks quick to train.

Each convolution's output is brought to mean zero and variance one over the batch, so that layers
need not follow the wandering statistics of those below.

Source:  Ioffe, Szegedy, ICML 2015, arXiv:1502.03167, figure 5; the released form from the authors'
         Caffe network.
Claims:  claims/bn_inception.toml
Differs: the first convolution is an ordinary 7 x 7, as in the release, where the paper has a
         separable one. Starting weights are He's.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    Conv,
    Pool,
    PoolUp,
    Step,
    check_image,
    draw_he_normal,
    new_stages,
    with_total_stride,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

Module = tuple[tuple[Step, ...], ...]
STEM = (Conv(64, 7, 2), PoolUp(), Conv(64), Conv(192, 3), PoolUp())
AVERAGE_POOL, MAX_POOL = Pool(nn.AvgPool2d), Pool(nn.MaxPool2d)


def module(one: int, reduce3: int, three: int, reduced: int, double: int, projected: int) -> Module:
    """Put a 1 x 1, a 3 x 3, two 3 x 3 and an averaging side by side."""
    return (
        (Conv(one),),
        (Conv(reduce3), Conv(three, 3)),
        (Conv(reduced), Conv(double, 3), Conv(double, 3)),
        (AVERAGE_POOL, Conv(projected)),
    )


def halving(reduce3: int, three: int, reduced: int, double: int) -> Module:
    """Put the same without 1 x 1 at each second pixel; the maximum passes all channels through."""
    return (
        (Conv(reduce3), Conv(three, 3, 2)),
        (Conv(reduced), Conv(double, 3), Conv(double, 3, 2)),
        (PoolUp(),),
    )


def last_module(*channels: int) -> Module:
    """Return a module whose pooling takes the maximum."""
    *front, (_, projection) = module(*channels)
    return (*front, (MAX_POOL, projection))


def layout(projected: int) -> tuple[tuple[Module, ...], ...]:
    """Return figure 5, a stage a line; `projected` is the width behind the pooling of 4c, 4d."""
    return (
        (module(64, 64, 64, 64, 96, 32), module(64, 64, 96, 64, 96, 64)),
        (
            halving(128, 160, 64, 96),
            module(224, 64, 96, 96, 128, 128),
            module(192, 96, 128, 96, 128, 128),
            module(160, 128, 160, 128, 160, projected),
            module(96, 128, 192, 160, 192, projected),
        ),
        (
            halving(128, 192, 192, 256),
            module(352, 192, 320, 160, 224, 128),
            last_module(352, 192, 320, 192, 224, 128),
        ),
    )


class BNInception(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training; none as published.
        stem_stride: 8 as published; 4, 2 or 1 leave out halvings, the last first.
        released: 128 channels behind the poolings of modules 4c and 4d, as in the released
            network, where the paper has 96.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
        stem_stride: int = 8,
        released: bool = False,
    ):
        super().__init__()
        self.in_channels = in_channels
        stem = with_total_stride(STEM, stem_stride, "BNInception")
        rows = layout(128 if released else 96)
        self.stages, channels = new_stages(in_channels, stem, rows, width=width)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels[-1], num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "BNInception", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.125)


register("bn_inception", BNInception, "classify")
register("bn_inception_released", BNInception, "classify", released=True)
