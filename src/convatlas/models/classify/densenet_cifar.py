"""DenseNet for CIFAR and SVHN: three blocks of equal length, plain, B, C and BC.

B narrows by a 1 x 1 convolution before each 3 x 3 one, C lets a transition keep half of the maps.

Source:  Huang et al., CVPR 2017, arXiv:1608.06993, section 3 and table 2.
Claims:  claims/densenet.toml
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import check_image, draw_he_normal
from convatlas.errors import UsageError
from convatlas.models.classify.dense_layers import COMPRESSION, DenseBlock, dense_stages, scaled
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

BLOCKS = 3
STEM = 16  # maps of the first convolution, but for BC, which takes twice the growth
PLAIN = ((40, 12), (100, 12), (100, 24))  # table 2: depth, growth
BC = ((100, 12), (250, 24), (190, 40))


class DenseNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        depth: weighted layers, 3 n + 4 for n layers a block, or 6 n + 4 with bottlenecks.
        growth: maps that each layer adds.
        bottleneck: the B form, a 1 x 1 convolution to four times the growth before each 3 x 3 one.
        compression: share of the maps that a transition keeps; 0.5 is the C form.
        width: multiplies the growth and the maps of the first convolution.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the values zeroed after each convolution but the first; the paper takes
            0.2 where it trains without augmentation.
        memory_efficient: in training, make the concatenations and their norms anew in the backward
            pass instead of keeping them; same outputs and gradients, less memory, more time.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 4 pixels up.

    Raises:
        UsageError: depth does not fit three equal blocks, or compression is no share.
    """

    min_size: Final = 4

    def __init__(
        self,
        *,
        depth: int = 40,
        growth: int = 12,
        bottleneck: bool = False,
        compression: float = 1.0,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.0,
        memory_efficient: bool = False,
    ):
        super().__init__()
        layers = _layers(depth, bottleneck)
        if growth < 1 or not 0 < compression <= 1:
            raise UsageError(
                "DenseNetCifar: growth must be from 1 up and compression above 0 and up to 1, got "
                f"{growth} and {compression}"
            )
        self.in_channels = in_channels
        growth = scaled(growth, width)
        channels = 2 * growth if bottleneck and compression < 1 else scaled(STEM, width)
        first = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)

        def new_block(channels: int, index: int, layers: int) -> DenseBlock:
            return DenseBlock(
                channels,
                growth,
                layers,
                bottleneck=bottleneck,
                dropout=dropout,
                memory_efficient=memory_efficient,
            )

        self.stages, channels = dense_stages(
            [[first]],
            channels,
            growth,
            [layers] * BLOCKS,
            new_block,
            compression=compression,
            dropout=dropout,
        )
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DenseNetCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=16, growth=12, bottleneck=True, compression=COMPRESSION)


def _layers(depth: int, bottleneck: bool) -> int:
    """Count the layers of a block: first convolution, two transitions, classifier make four."""
    step = 2 * BLOCKS if bottleneck else BLOCKS
    if depth < step + 4 or (depth - 4) % step:
        raise UsageError(
            f"DenseNetCifar: depth must be {step} n + 4 {'with' if bottleneck else 'without'} "
            f"bottlenecks, got {depth}"
        )
    return (depth - 4) // step


for _depth, _growth in PLAIN:
    register(
        f"densenet{_depth}_k{_growth}_cifar",
        DenseNetCifar,
        "classify",
        depth=_depth,
        growth=_growth,
    )
for _depth, _growth in BC:
    register(
        f"densenet_bc{_depth}_k{_growth}_cifar",
        DenseNetCifar,
        "classify",
        depth=_depth,
        growth=_growth,
        bottleneck=True,
        compression=COMPRESSION,
    )
