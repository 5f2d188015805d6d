"""ResNet with pre-activation for CIFAR: basic units at depth 110, bottlenecks at 164 and 1001.

Source:  He et al., ECCV 2016, arXiv:1603.05027, section 4 and tables 2 to 4.
Claims:  claims/preact_resnet.toml
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    draw_he_normal,
    norm_relu,
    residual_stages,
    round_channels,
)
from convatlas.models.classify.preact_resnet import preact_unit
from convatlas.models.classify.resnet import EXPAND
from convatlas.models.classify.resnet_cifar import BOTTLENECK_DEPTHS, CHANNELS, units_a_stage
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops import SqueezeExcite


class PreActResNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        depth: weighted layers, 6 n + 2 for n units a stage; 9 n + 2 with bottlenecks.
        bottleneck: units of three convolutions with four times as many channels outside, and
            projections where the shape changes; else shortcuts have no weights.
        reduction: of a squeeze and excitation at the end of each residue; None for none.
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
        depth: int = 110,
        bottleneck: bool = False,
        reduction: int | None = None,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        units = units_a_stage("PreActResNetCifar", depth, bottleneck=bottleneck)
        self.in_channels = in_channels
        narrow = [round_channels(channels * width, 4) for channels in CHANNELS]
        outs = [c * EXPAND if bottleneck else c for c in narrow]
        first = iter([True])  # the stem's norm and ReLU serve the first unit

        def unit(into: int, out: int, stride: int) -> nn.Module:
            return preact_unit(
                into,
                out,
                stride,
                inner=out // EXPAND if bottleneck else None,
                activated=next(first, False),
                projects=bottleneck,
                gate=None if reduction is None else SqueezeExcite(out, reduction=reduction),
            )

        stem: list[nn.Module] = [ConvNormAct(in_channels, narrow[0])]
        stages = [(units, out) for out in outs]
        self.stages = residual_stages((stem, []), narrow[0], stages, unit)
        self.head = norm_relu(outs[-1])
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "PreActResNetCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=8, width=0.5)


register("preact_resnet110_cifar", PreActResNetCifar, "classify", depth=110)
for _depth in BOTTLENECK_DEPTHS:
    register(
        f"preact_resnet{_depth}_cifar", PreActResNetCifar, "classify", depth=_depth, bottleneck=True
    )
