"""ResNet for CIFAR: three stages of basic units whose shortcuts have no weights.

The bottleneck form is that which the authors compare with pre-activation one paper later.

Source:  He et al., CVPR 2016, arXiv:1512.03385, section 4.2, shortcuts by option A; He et al.,
    ECCV 2016, arXiv:1603.05027, section 4, for bottlenecks, whose shortcuts are by option B.
Claims:  claims/resnet.toml, claims/preact_resnet.toml
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    draw_he_normal,
    residual_stages,
    round_channels,
)
from convatlas.errors import UsageError
from convatlas.models.classify.resnet import EXPAND, BasicUnit, Bottleneck
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

CHANNELS = (16, 32, 64)
DEPTHS = (20, 32, 44, 56, 110, 1202)  # table 6
PLAIN_DEPTHS = (20, 32, 44, 56)  # figure 6, left
BOTTLENECK_DEPTHS = (164, 1001)  # tables 3 and 4 of the second paper


def units_a_stage(model: str, depth: int, *, bottleneck: bool) -> int:
    """Count the units in each of the three stages of a network with `depth` weighted layers.

    Raises:
        UsageError: depth is not 6 n + 2, or 9 n + 2 for bottlenecks.
    """
    layers = 9 if bottleneck else 6
    if depth < layers + 2 or depth % layers != 2:
        depths = BOTTLENECK_DEPTHS if bottleneck else DEPTHS
        raise UsageError(
            f"{model}: depth must be {layers} n + 2, got {depth}; the paper has "
            f"{', '.join(map(str, depths))}"
        )
    return (depth - 2) // layers


class ResNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        depth: weighted layers, 6 n + 2 for n units a stage; 9 n + 2 with bottlenecks.
        bottleneck: units of three convolutions with four times as many channels outside.
        shortcuts: False makes the plain network.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: depth is not 6 n + 2, or 9 n + 2 with bottlenecks.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 20,
        bottleneck: bool = False,
        shortcuts: bool = True,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        units = units_a_stage("ResNetCifar", depth, bottleneck=bottleneck)
        self.in_channels = in_channels
        # Multiples of four: eight would make one network of all widths below a half.
        narrow = [round_channels(channels * width, 4) for channels in CHANNELS]

        def basic(into: int, out: int, stride: int) -> nn.Module:
            return BasicUnit(into, out, stride=stride, shortcut="A" if shortcuts else "none")

        def three(into: int, out: int, stride: int) -> nn.Module:
            option = "B" if shortcuts else "none"
            return Bottleneck(into, out, inner=out // EXPAND, stride=stride, shortcut=option)

        outs = [c * EXPAND if bottleneck else c for c in narrow]
        self.stages = residual_stages(
            ([ConvNormAct(in_channels, narrow[0])], []),
            narrow[0],
            [(units, out) for out in outs],
            three if bottleneck else basic,
        )
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ResNetCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=8, width=0.5)


for _depth in DEPTHS:
    register(f"resnet{_depth}_cifar", ResNetCifar, "classify", depth=_depth)
for _depth in PLAIN_DEPTHS:
    register(f"plain{_depth}_cifar", ResNetCifar, "classify", depth=_depth, shortcuts=False)
for _depth in BOTTLENECK_DEPTHS:
    register(f"resnet{_depth}_cifar", ResNetCifar, "classify", depth=_depth, bottleneck=True)
