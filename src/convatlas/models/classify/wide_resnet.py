"""Wide ResNet: fewer layers and more channels, which learn as well and run faster.

Source:  Zagoruyko and Komodakis, BMVC 2016, arXiv:1605.07146v4, tables 1 to 9.
Claims:  claims/wide_resnet.toml
"""

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    PreActUnit,
    ShortcutA,
    check_image,
    conv_without_bias,
    draw_he_normal,
    norm_relu,
    residual_stages,
    round_channels,
)
from convatlas.errors import UsageError
from convatlas.models.classify.resnet import ResNet
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite

CHANNELS = (16, 32, 64)  # table 1, before they are multiplied by k
GRID = (  # tables 4 to 6 and 9: n, k
    *((40, 1), (40, 2), (40, 4), (40, 8), (40, 10), (28, 10), (28, 12)),
    *((22, 8), (22, 10), (16, 4), (16, 8), (16, 10), (52, 1)),
)
DROPOUT = ((16, 4), (28, 10), (52, 1), (16, 8), (40, 10))  # tables 6 and 9
# Tables 2 and 3, the rows that the grid lacks, all with k = 2: name, weighted layers, kernels of a
# block. The n of table 2 counts two layers a block, however many it has: its parameters say so.
BLOCKS = {
    "28_2": (28, (3, 3)),
    "40_2_b131": (58, (1, 3, 1)),
    "40_2_b31": (40, (3, 1)),
    "40_2_b13": (40, (1, 3)),
    "40_2_b311": (58, (3, 1, 1)),
    "22_2_b313": (31, (3, 1, 3)),
    "40_2_l1": (40, (3,)),
    "40_2_l3": (40, (3, 3, 3)),
    "40_2_l4": (40, (3, 3, 3, 3)),
}
IMAGENET = ((18, 1.5), (18, 2), (18, 3), (34, 1.5), (34, 2))  # table 7; k = 1 is ResNet


def wide_unit(
    in_channels: int,
    out_channels: int,
    stride: int,
    *,
    kernels: Sequence[int] = (3, 3),
    dropout: float = 0.0,
    projects: bool = True,
    gate: nn.Module | None = None,
) -> PreActUnit:
    """Build B(kernels): pre-activated convolutions of equal width, the first with the stride.

    Args:
        projects: by 1 x 1 where the shape changes, option B; else option A.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """
    first, *others = kernels
    convs = [conv_without_bias(in_channels, out_channels, first, stride=stride)]
    convs += [conv_without_bias(out_channels, out_channels, kernel) for kernel in others]
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or in_channels != out_channels:
        shortcut = ShortcutA(in_channels, out_channels, stride)
        if projects:
            shortcut = conv_without_bias(in_channels, out_channels, 1, stride=stride)
    return PreActUnit(convs, shortcut=shortcut, dropout=dropout, gate=gate)


class WideResNet(nn.Module):
    """Image classifier for images of about 32 pixels, WRN-n-k.

    Args:
        depth: n, the weighted layers that are no projections: 4 + 3 * units * convolutions a unit.
        widen: k, which multiplies the channels of every layer but the first.
        kernels: sides of the convolutions of a unit: (3, 3) is the paper's B(3, 3).
        dropout: share zeroed between the convolutions of a unit in training; the paper takes 0.3
            on CIFAR and 0.4 on SVHN where it has any.
        projects: by 1 x 1 where the shape changes; else shortcuts have no weights.
        reduction: of a squeeze and excitation at the end of each residue; None for none.
        width: multiplies every channel count, those of the first layer too.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: no number of such units makes this depth, or a kernel is even.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 28,
        widen: int = 10,
        kernels: Sequence[int] = (3, 3),
        dropout: float = 0.0,
        projects: bool = True,
        reduction: int | None = None,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        units = units_a_stage("WideResNet", depth, kernels)
        self.in_channels = in_channels
        stem = round_channels(CHANNELS[0] * width, 4)
        outs = [round_channels(channels * widen * width, 4) for channels in CHANNELS]

        def unit(into: int, out: int, stride: int) -> nn.Module:
            gate = None if reduction is None else SqueezeExcite(out, reduction=reduction)
            return wide_unit(
                into, out, stride, kernels=kernels, dropout=dropout, projects=projects, gate=gate
            )

        self.stages = residual_stages(
            ([conv_without_bias(in_channels, stem, 3)], []), stem, [(units, c) for c in outs], unit
        )
        self.head = norm_relu(outs[-1])
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "WideResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=10, widen=1)


def units_a_stage(model: str, depth: int, kernels: Sequence[int]) -> int:
    """Return how many units of such kernels a stage has.

    Args:
        model: the class's name, for the message.

    Raises:
        UsageError: no number of units makes this depth, or a kernel is even.
    """
    if not kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise UsageError(f"{model}: kernels must be odd and at least one, got {list(kernels)}")
    layers = 3 * len(kernels)
    if depth < 4 + layers or (depth - 4) % layers:
        raise UsageError(
            f"{model}: depth must be {layers} n + 4 with {len(kernels)} convolutions a unit, "
            f"got {depth}"
        )
    return (depth - 4) // layers


for _depth, _widen in GRID:
    register(
        f"wide_resnet{_depth}_{_widen}_cifar", WideResNet, "classify", depth=_depth, widen=_widen
    )
for _depth, _widen in DROPOUT:
    _name = f"wide_resnet{_depth}_{_widen}_dropout_cifar"
    register(_name, WideResNet, "classify", depth=_depth, widen=_widen, dropout=0.3)
for _name, (_depth, _kernels) in BLOCKS.items():
    register(
        f"wide_resnet{_name}_cifar", WideResNet, "classify", depth=_depth, widen=2, kernels=_kernels
    )
for _depth, _widen in IMAGENET:
    register(f"wide_resnet{_depth}_{_widen}", ResNet, "classify", depth=_depth, widen=_widen)
# table 8; depth 101 is not in the paper, but has public weights
register("wide_resnet50_2", ResNet, "classify", depth=50, inner_width=2, stride_in_3x3=True)
register("wide_resnet101_2", ResNet, "classify", depth=101, inner_width=2, stride_in_3x3=True)
