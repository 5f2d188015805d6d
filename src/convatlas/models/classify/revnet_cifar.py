"""RevNet for CIFAR: three stages of reversible units behind a 3 x 3 convolution.

Source:  Gomez et al., NIPS 2017, arXiv:1707.04585, table 2; units from the authors' repository.
Claims:  claims/revnet.toml
Differs: in networks of basic units the first unit keeps its shape, and is reversible here.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import check_image, conv_without_bias, round_channels
from convatlas.errors import UsageError
from convatlas.models.classify.revnet import (
    EXPAND,
    draw_weights,
    new_norm,
    reversible_stage,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

CHANNELS = (32, 64)  # of both halves, and before the first unit; the last stage varies


class RevNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        depth: weighted layers: 12 n + 2 for n units a stage, 18 n + 2 with bottlenecks.
        bottleneck: 1 x 1, 3 x 3, 1 x 1 in each half of a unit instead of two 3 x 3.
        last_channels: of the last stage, both halves, before a bottleneck expands them.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        recompute: False stores activations as other networks do: a third faster, more memory.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: depth is not one of those.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 110,
        bottleneck: bool = False,
        last_channels: int = 128,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        recompute: bool = True,
    ):
        super().__init__()
        self.in_channels = in_channels
        units = _units(depth, bottleneck)
        wanted = [round_channels(c * width) for c in (*CHANNELS, last_channels)]
        channels = wanted[0]
        stages: list[list[nn.Module]] = [
            [conv_without_bias(in_channels, channels, 3), new_norm(channels), nn.ReLU()]
        ]
        for index, narrow in enumerate(wanted):
            if index > 0:
                stages.append([])
            stages[-1] += reversible_stage(
                channels,
                narrow,
                units=units,
                stride=2 if index > 0 else 1,
                bottleneck=bottleneck,
                activated=index == 0,
                recompute=recompute,
            )
            channels = narrow * EXPAND if bottleneck else narrow
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = nn.Sequential(new_norm(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, num_classes)
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "RevNetCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=26, width=0.25)


def _units(depth: int, bottleneck: bool) -> int:
    step = 18 if bottleneck else 12
    if depth < 2 + step or depth % step != 2:
        raise UsageError(
            f"RevNetCifar: depth must be {step} n + 2 with bottleneck={bottleneck}, got {depth}; "
            "the paper has 38 and 110, and 164 with bottlenecks"
        )
    return (depth - 2) // step


register("revnet38_cifar", RevNetCifar, "classify", depth=38, last_channels=112)
register("revnet110_cifar", RevNetCifar, "classify", depth=110)
register("revnet164_cifar", RevNetCifar, "classify", depth=164, bottleneck=True)
