"""ResNets as the Darknet framework builds them: what CSPNet starts from.

Source:  Redmon and Farhadi, "YOLOv3", 2018, arXiv:1804.02767, table 1; the others from the
         configuration files beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929.
Claims:  claims/cspnet.toml
"""

from typing import Final, NamedTuple

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, draw_he_normal, round_channels
from convatlas.models.classify.darknet_units import Unit, bottleneck, leaky, overlap, stem
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register


class ResNetForm(NamedTuple):
    """Units of each stage, their inner channels and groups, and how far the last 1 x 1 expands."""

    repeats: tuple[int, ...]
    channels: tuple[int, ...]
    groups: int
    expand: int


RESNETS = {
    "resnet10": ResNetForm((1, 1, 1, 1), (64, 128, 256, 512), 1, 1),
    "resnet50": ResNetForm((3, 4, 6, 3), (64, 128, 256, 512), 1, 4),
    "resnext50": ResNetForm((3, 4, 6, 3), (128, 256, 512, 1024), 32, 2),
}


class DarknetResNet(nn.Module):
    """ResNet without weights in its shortcuts, the stride in 3 x 3 convolutions, leaky ReLU.

    Args:
        form: `resnet10`, `resnet50` or `resnext50`.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for images under 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "resnet50",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("DarknetResNet", "form", form, RESNETS)
        self.in_channels = in_channels
        repeats, inner, groups, expand = RESNETS[form]
        channels = round_channels(64 * width)
        stages = [*stem(in_channels, channels, stem_stride, "DarknetResNet")]
        for index, (units, base) in enumerate(zip(repeats, inner, strict=True)):
            if index > 0:
                stages.append([])
            narrow = round_channels(base * width)
            for number in range(units):
                stride = 2 if index > 0 and number == 0 else 1
                stages[-1].append(_resnet_unit(channels, narrow, expand, groups, stride))
                channels = narrow * expand
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "DarknetResNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example(256)
    tiny = tiny_build(64, width=0.125)


def _resnet_unit(in_channels: int, narrow: int, expand: int, groups: int, stride: int) -> Unit:
    if expand > 1:
        return bottleneck(in_channels, narrow, narrow * expand, groups=groups, stride=stride)
    residue = nn.Sequential(
        ConvNormAct(in_channels, narrow, stride=stride, act=leaky),
        ConvNormAct(narrow, narrow, act=None),
    )
    return Unit(residue, overlap(in_channels, narrow, stride), leaky())


for _form in RESNETS:
    register(f"darknet_{_form}", DarknetResNet, "classify", form=_form)
