"""Inception-ResNet: Inception modules that add what they say to their input.

It is scaled down before the sum, so that training is stable.

Source:  Szegedy, Ioffe, Vanhoucke, Alemi, AAAI 2017, arXiv:1602.07261, figures 3 to 22.
Claims:  claims/inception_v4.toml
Differs: `inception_resnet_v2` is the network that its authors released and all libraries copy, with
         another stem and 10, 20 and 10 modules where the paper's figures have 5, 10 and 5;
         `inception_resnet_v2_paper` is the one of the figures. Version 1 takes the scales of the
         released version 2, as the paper says 0.1 to 0.3. Starting weights are He's.
"""

from typing import Final, NamedTuple

from torch import Tensor, nn

from convatlas.blocks import (
    Branches,
    Conv,
    ConvNormAct,
    Fork,
    Step,
    check_image,
    check_option,
    draw_he_normal,
    round_channels,
    split_at_halvings,
)
from convatlas.models.classify.inception_v4_modules import (
    AVERAGE_POOL,
    FIRST,
    MAX_POOL,
    STEM_4,
    Module,
    reduce_a,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite

STEM_1 = (  # figure 14
    *(*FIRST, MAX_POOL, Conv(80), Conv(192, 3, padded=False)),
    Conv(256, 3, 2, padded=False),
)
STEM_2 = (  # released: the stem of version 3, and a module that widens
    *(*FIRST, MAX_POOL, Conv(80), Conv(192, 3, padded=False), MAX_POOL),
    Fork(
        (
            (Conv(96),),
            (Conv(48), Conv(64, 5)),
            (Conv(64), Conv(96, 3), Conv(96, 3)),
            (AVERAGE_POOL, Conv(64)),
        )
    ),
)


def reduce_b(second: int, third: int) -> Module:
    """Return the module of figures 13 and 18."""
    return (
        (Conv(256), Conv(384, 3, 2, padded=False)),
        (Conv(256), Conv(second, 3, 2, padded=False)),
        (Conv(256), Conv(second, 3), Conv(third, 3, 2, padded=False)),
        (MAX_POOL,),
    )


def residue_a(middle: int, wide: int) -> Module:
    """Return the module of figures 10 and 16."""
    return (
        (Conv(32),),
        (Conv(32), Conv(32, 3)),
        (Conv(32), Conv(middle, 3), Conv(wide, 3)),
    )


def residue_sides(first: int, narrow: int, middle: int, wide: int, kernel: int) -> Module:
    """Return that of figures 11, 12, 17, 19: a 1 x 1, and a large window as two oblong ones."""
    return (
        (Conv(first),),
        (Conv(narrow), Conv(middle, (1, kernel)), Conv(wide, (kernel, 1))),
    )


SCALES = (0.17, 0.10, 0.20)  # released; the paper says 0.1 to 0.3


class Layout(NamedTuple):
    """An Inception-ResNet: stem, and for each resolution the module before and those repeated."""

    stem: tuple[Step, ...]
    reductions: tuple[Module, Module]
    residues: tuple[Module, Module, Module]
    repeats: tuple[int, int, int]
    last_is_linear: bool = False
    head: int | None = None


RESIDUES_1 = (
    residue_a(32, 32),
    residue_sides(128, 128, 128, 128, 7),
    residue_sides(192, 192, 192, 192, 3),
)
RESIDUES_2 = (
    residue_a(48, 64),
    residue_sides(192, 128, 160, 192, 7),
    residue_sides(192, 192, 224, 256, 3),
)
REDUCTIONS_1 = (reduce_a(192, 192, 256, 384), reduce_b(256, 256))
REDUCTIONS_2 = (reduce_a(256, 256, 384, 384), reduce_b(288, 320))
LAYOUTS = {
    "v1": Layout(STEM_1, REDUCTIONS_1, RESIDUES_1, (5, 10, 5)),
    "v2": Layout(STEM_2, REDUCTIONS_2, RESIDUES_2, (10, 20, 10), last_is_linear=True, head=1536),
    "v2-paper": Layout(STEM_4, REDUCTIONS_2, RESIDUES_2, (5, 10, 5)),
}


class ResidualBranches(nn.Module):
    """Branches, a linear 1 x 1 convolution back to the input's channels, and the sum.

    Args:
        branches: as in `Branches`.
        scale: multiplies the residue before the sum.
        act: rectify the sum.
        width: multiplies every channel count of the branches.
        reduction: of a squeeze and excitation at the end of the residue; None for none.

    Shape: (n, in_channels, h, w) -> (n, in_channels, h, w)
    """

    def __init__(
        self,
        in_channels: int,
        branches: Module,
        *,
        scale: float,
        act: bool = True,
        width: float = 1.0,
        reduction: int | None = None,
    ):
        super().__init__()
        joined = Branches(in_channels, branches, width=width)
        linear = nn.Conv2d(joined.out_channels, in_channels, 1)
        self.residue = nn.Sequential(joined, linear)
        if reduction is not None:
            self.residue.append(SqueezeExcite(in_channels, reduction=reduction))
        self.scale = scale
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.scale * self.residue(x))


class InceptionResNet(nn.Module):
    """Image classifier whose modules add to their input.

    Args:
        layout: v1, v2 (as released) or v2-paper (as drawn).
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        reduction: of a squeeze and excitation at the end of each residue; None for none.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 75 pixels up.
    """

    min_size: Final = 75

    def __init__(
        self,
        *,
        layout: str = "v2",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        reduction: int | None = None,
    ):
        super().__init__()
        check_option("InceptionResNet", "layout", layout, LAYOUTS)
        self.in_channels = in_channels
        table = LAYOUTS[layout]
        stages, channels = split_at_halvings(in_channels, table.stem, width)
        for number, (residue, repeats) in enumerate(
            zip(table.residues, table.repeats, strict=True)
        ):
            if number > 0:
                halved = Branches(channels, table.reductions[number - 1], width=width)
                stages.append([halved])
                channels = halved.out_channels
            for repeat in range(repeats):
                linear = table.last_is_linear and number == 2 and repeat == repeats - 1
                unit = ResidualBranches(
                    channels,
                    residue,
                    scale=1.0 if linear else SCALES[number],
                    act=not linear,
                    width=width,
                    reduction=reduction,
                )
                stages[-1].append(unit)
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head: nn.Module = nn.Identity()
        if table.head is not None:
            into, channels = channels, round_channels(table.head * width)
            self.head = ConvNormAct(into, channels, 1, norm_eps=1e-3)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "InceptionResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(299)
    tiny = tiny_build(107, layout="v1", width=0.0625)


register("inception_resnet_v1", InceptionResNet, "classify", layout="v1")
register("inception_resnet_v2", InceptionResNet, "classify", layout="v2")
register("inception_resnet_v2_paper", InceptionResNet, "classify", layout="v2-paper")
register("se_inception_resnet_v2", InceptionResNet, "classify", layout="v2", reduction=16)
