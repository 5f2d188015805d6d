"""Wide ResNet whose kernels a small network makes from embeddings: fewer weights, the same layers.

Every convolution of the units is tiled from basic kernels of 16 x 16 channels, each made from 64
numbers of its own by two linear layers that all of them share.

Source:  Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, sections 3.1 and 4.2, table 2.
Claims:  claims/hyper_wide_resnet.toml
Differs: shortcuts have no weights, as the paper's count shows; starting weights are drawn so that
         the generated kernels have He's variance, which the paper does not say.
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    GeneratedConv,
    KernelGenerator,
    PreActUnit,
    ShortcutA,
    check_image,
    conv_without_bias,
    draw_he_normal,
    norm_relu,
    residual_stages,
    round_channels,
)
from convatlas.models.classify.wide_resnet import CHANNELS, units_a_stage
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

EMBEDDING = 64  # section 4.2; a basic kernel has 16 x 16 channels, as the first layer has 16


def hyper_unit(
    in_channels: int, out_channels: int, stride: int, generator: KernelGenerator
) -> PreActUnit:
    """Build the unit of a Wide ResNet with generated kernels and a shortcut without weights.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """
    convs = [GeneratedConv(in_channels, out_channels, generator, stride=stride)]
    convs.append(GeneratedConv(out_channels, out_channels, generator))
    shortcut: nn.Module = nn.Identity()
    if stride > 1 or in_channels != out_channels:
        shortcut = ShortcutA(in_channels, out_channels, stride)
    return PreActUnit(convs, shortcut=shortcut)


class HyperStages(nn.Module):
    """The stages of a Wide ResNet with the generator of their kernels, as a backbone.

    Args:
        stages: the first of which holds the first convolution, which stays as it is.
        generator: of the kernels of all others.
        channels: of each stage.

    Shape: (n, in_channels, h, w) -> list of (n, feature_channels[i], about h / feature_strides[i],
    about w / feature_strides[i]), coarsest last
    """

    feature_strides: Final = (1, 2, 4)

    def __init__(
        self, stages: nn.Sequential, generator: KernelGenerator, channels: tuple[int, ...]
    ):
        super().__init__()
        self.generator = generator  # its layers refer to it; here it is registered
        self.stages = stages
        self.feature_channels = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class HyperWideResNet(nn.Module):
    """Image classifier for images of about 32 pixels, Hyper Residual n-k.

    Args:
        depth: weighted layers: 4 + 6 * units of a stage.
        widen: multiplies the channels of every layer but the first.
        embedding: length of the embedding of a basic kernel.
        width: multiplies every channel count, those of a basic kernel too.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: no number of units makes this depth.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 40,
        widen: int = 1,
        embedding: int = EMBEDDING,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        units = units_a_stage("HyperWideResNet", depth, (3, 3))
        self.in_channels = in_channels
        stem = round_channels(CHANNELS[0] * width, 4)
        outs = tuple(round_channels(channels * widen * width, 4) for channels in CHANNELS)
        generator = KernelGenerator(embedding=embedding, basic=stem)
        stages = residual_stages(
            ([conv_without_bias(in_channels, stem, 3)], []),
            stem,
            [(units, out) for out in outs],
            lambda into, out, stride: hyper_unit(into, out, stride, generator),
        )
        self.backbone = HyperStages(stages, generator, outs)
        self.head = norm_relu(outs[-1])
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "HyperWideResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.backbone(x)[-1]).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=10, embedding=16)


for _widen in (1, 2):
    register(f"hyper_wide_resnet40_{_widen}_cifar", HyperWideResNet, "classify", widen=_widen)
