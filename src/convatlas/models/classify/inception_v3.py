"""Inception v2 and v3: large windows taken apart into small and oblong ones.

A 5 x 5 becomes two 3 x 3, a 7 x 7 becomes 1 x 7 and 7 x 1, and maps are halved by a convolution and
a pooling side by side, so that nothing is squeezed through a bottleneck.

Source:  Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, arXiv:1512.00567,
         table 1 and figures 5-8 and 10; version 3 from the authors' release (TensorFlow slim).
Claims:  claims/inception_v3.toml
Differs: table 1 does not give the widths inside the modules of version 2; those of the release
         are taken, five 17 x 17 modules instead of its four, and 3 x 3 filters where the paper's
         table 3 has not yet "factorized 7 x 7". Starting weights are He's. Auxiliary classifiers
         take images under 299 pixels too, by averaging to the maps that these have.
"""

from collections.abc import Callable

from torch import Tensor, nn

from convatlas.blocks import (
    Conv,
    ConvNormAct,
    Fork,
    Pool,
    Step,
    TrainingOutputs,
    check_image,
    check_option,
    draw_he_normal,
    loss_with_auxiliary,
    new_stages,
    round_channels,
    smallest_input,
    with_total_stride,
)
from convatlas.blocks.branches import UnpaddedConv
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

Module = tuple[tuple[Step, ...], ...]
AVERAGE_POOL, MAX_POOL = Pool(nn.AvgPool2d), Pool(nn.MaxPool2d, 2)
FIRST = (Conv(32, 3, 2, padded=False), Conv(32, 3, padded=False), Conv(64, 3), MAX_POOL)
STEM_2 = (*FIRST, Conv(80, 3, padded=False), Conv(192, 3, 2, padded=False), Conv(288, 3))
STEM_3 = (*FIRST, Conv(80), Conv(192, 3, padded=False), MAX_POOL)


def module_a(projected: int) -> Module:
    """Return the module of figure 5: a 5 x 5 as two 3 x 3."""
    return (
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        (AVERAGE_POOL, Conv(projected)),
    )


def module_b(c: int) -> Module:
    """Return the module of figure 6 with n = 7: windows of 7 x 7 as 1 x 7 and 7 x 1."""
    return (
        (Conv(192),),
        (Conv(c), Conv(c, (1, 7)), Conv(192, (7, 1))),
        (Conv(c), Conv(c, (7, 1)), Conv(c, (1, 7)), Conv(c, (7, 1)), Conv(192, (1, 7))),
        (AVERAGE_POOL, Conv(192)),
    )


def module_b_3x3(c: int) -> Module:
    """Return the module that stood there before its windows grew to 7 x 7."""
    return (
        (Conv(192),),
        (Conv(c), Conv(192, 3)),
        (Conv(c), Conv(c, 3), Conv(192, 3)),
        (AVERAGE_POOL, Conv(192)),
    )


SIDES = Fork(((Conv(384, (1, 3)),), (Conv(384, (3, 1)),)))
MODULE_C: Module = (  # figure 7: a wide bank of filters for the last, small maps
    (Conv(320),),
    (Conv(384), SIDES),
    (Conv(448), Conv(384, 3), SIDES),
    (AVERAGE_POOL, Conv(192)),
)
REDUCE_A: Module = (  # figure 10
    (Conv(384, 3, 2, padded=False),),
    (Conv(64), Conv(96, 3), Conv(96, 3, 2, padded=False)),
    (MAX_POOL,),
)
REDUCE_B: Module = (
    (Conv(192), Conv(320, 3, 2, padded=False)),
    (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2, padded=False)),
    (MAX_POOL,),
)
REDUCE_B_3X3: Module = (
    (Conv(192), Conv(320, 3, 2, padded=False)),
    (Conv(192), Conv(192, 3), Conv(192, 3, 2, padded=False)),
    (MAX_POOL,),
)
A_2 = (module_a(64),) * 3
B_2 = (128, 160, 160, 160, 192)
LAYOUTS = {  # stem; modules of 35 x 35, 17 x 17 and 8 x 8 pixels
    "v2": (STEM_2, A_2, (REDUCE_A, *map(module_b_3x3, B_2)), (REDUCE_B_3X3, MODULE_C, MODULE_C)),
    "v2-7x7": (STEM_2, A_2, (REDUCE_A, *map(module_b, B_2)), (REDUCE_B, MODULE_C, MODULE_C)),
    "v3": (
        STEM_3,
        (module_a(32), module_a(64), module_a(64)),
        (REDUCE_A, module_b(128), module_b(160), module_b(160), module_b(192)),
        (REDUCE_B, MODULE_C, MODULE_C),
    ),
}
TAPPED_SIDE = 11  # where the maps start as large as this, the auxiliary pooling has a window
AUXILIARY_CHANNELS, AUXILIARY_WEIGHT = (128, 768), 0.4


class InceptionV3(nn.Module):
    """Image classifier.

    Args:
        layout: v2 (3 x 3 windows in the middle modules), v2-7x7 (7 x 7, taken apart) or v3.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 8 as published; 4, 2 or 1 leave out halvings, the last first.
        auxiliary: build the classifier that helps training; evaluation never runs it.
        auxiliary_norm: batch norm in that classifier ("BN-auxiliary"), else biases.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; in training with the auxiliary
        classifier `TrainingOutputs`, whose first field they are. h and w from `min_size` up: 75
        pixels as published, 107 with the auxiliary classifier, fewer with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        layout: str = "v3",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 8,
        auxiliary: bool = False,
        auxiliary_norm: bool = True,
    ):
        super().__init__()
        check_option("InceptionV3", "layout", layout, LAYOUTS)
        self.in_channels = in_channels
        published, *rows = LAYOUTS[layout]
        stem = with_total_stride(published, stem_stride, "InceptionV3")
        self.min_size = smallest_input(stem, TAPPED_SIDE if auxiliary else 7)
        self.stages, channels = new_stages(in_channels, stem, rows, width=width)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels[-1], num_classes))
        self.auxiliary: nn.Sequential | None = None
        if auxiliary:
            self.auxiliary = _auxiliary_classifier(
                channels[-2], num_classes, width, norm=auxiliary_norm
            )
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor | TrainingOutputs:
        check_image(x, "InceptionV3", channels=self.in_channels, min_size=self.min_size)
        *front, last = self.stages
        for stage in front:
            x = stage(x)
        logits = self.classifier(last(x).mean((2, 3)))
        if self.auxiliary is None or not self.training:
            return logits
        return TrainingOutputs(logits, [self.auxiliary(x)])

    def loss(
        self,
        outputs: Tensor | TrainingOutputs,
        target: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Add 0.4 of the loss of the auxiliary classifier to that of the logits, as slim does."""
        return loss_with_auxiliary(outputs, target, criterion, weight=AUXILIARY_WEIGHT)

    example = image_example(299)
    tiny = tiny_build(48, width=0.125, stem_stride=2, auxiliary=True)


def _auxiliary_classifier(
    in_channels: int, num_classes: int, width: float, *, norm: bool
) -> nn.Sequential:
    """Build averages of 5 x 5, a 1 x 1 and a 5 x 5 convolution to one pixel, a linear layer."""
    narrow, wide = (round_channels(c * width) for c in AUXILIARY_CHANNELS)
    convolve = _normed if norm else _biased
    return nn.Sequential(
        nn.AvgPool2d(5, stride=3),
        nn.AdaptiveAvgPool2d(5),  # what 299 pixels have by now; lets other sizes in
        convolve(in_channels, narrow, 1),
        convolve(narrow, wide, 5),
        nn.Flatten(),
        nn.Linear(wide, num_classes),
    )


def _normed(in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    return ConvNormAct(in_channels, out_channels, kernel, norm_eps=1e-3, conv=UnpaddedConv)


def _biased(in_channels: int, out_channels: int, kernel: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel), nn.ReLU())


register("inception_v2", InceptionV3, "classify", layout="v2")
register("inception_v2_7x7", InceptionV3, "classify", layout="v2-7x7")
register("inception_v3", InceptionV3, "classify")
