"""Inception v4: one uniform design of modules, without shortcuts around them.

Source:  Szegedy, Ioffe, Vanhoucke, Alemi, AAAI 2017, arXiv:1602.07261, figures 3 to 22.
Claims:  claims/inception_v4.toml
Differs: starting weights are He's.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    Branches,
    Conv,
    Fork,
    check_image,
    draw_he_normal,
    split_at_halvings,
)
from convatlas.models.classify.inception_v4_modules import (
    AVERAGE_POOL,
    MAX_POOL,
    STEM_4,
    Module,
    reduce_a,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

A_4: Module = (  # figure 4
    (Conv(96),),
    (Conv(64), Conv(96, 3)),
    (Conv(64), Conv(96, 3), Conv(96, 3)),
    (AVERAGE_POOL, Conv(96)),
)
B_4: Module = (  # figure 5
    (Conv(384),),
    (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
    (AVERAGE_POOL, Conv(128)),
)
SIDES = Fork(((Conv(256, (1, 3)),), (Conv(256, (3, 1)),)))
C_4: Module = (  # figure 6
    (Conv(256),),
    (Conv(384), SIDES),
    (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), SIDES),
    (AVERAGE_POOL, Conv(256)),
)
REDUCE_B_4: Module = (  # figure 8
    (Conv(192), Conv(192, 3, 2, padded=False)),
    (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2, padded=False)),
    (MAX_POOL,),
)
LAYOUT_4 = ((A_4,) * 4, (reduce_a(192, 224, 256, 384), *(B_4,) * 7), (REDUCE_B_4, *(C_4,) * 3))


class InceptionV4(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 75 pixels up.
    """

    min_size: Final = 75

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
    ):
        super().__init__()
        self.in_channels = in_channels
        stages, channels = split_at_halvings(in_channels, STEM_4, width)
        for number, modules in enumerate(LAYOUT_4):
            if number > 0:
                stages.append([])
            for module in modules:
                branches = Branches(channels, module, width=width)
                stages[-1].append(branches)
                channels = branches.out_channels
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "InceptionV4", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(299)
    tiny = tiny_build(107, width=0.0625)


register("inception_v4", InceptionV4, "classify")
