"""MobileNet: a full convolution split into one filter a channel and a mix of the channels.

Source:  Howard et al., 2017, arXiv:1704.04861, table 1; width and resolution, sections 3.3, 3.4.
Claims:  claims/mobilenet_v1.toml
Differs: the last filter has stride 1; table 1 prints 2 with equal sizes in and out.
"""

from collections.abc import Callable
from typing import Final

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.example import Size, image_example, tiny_build
from convatlas.models.registry import register

LAYOUT = (  # table 1: channels, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
REPEATED = (512, 1)  # the five rows that table 5's shallow network leaves out


class SeparableUnit(nn.Sequential):
    """Filter each channel alone, then mix the channels, each with norm and activation.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        act: Callable[[], nn.Module] = nn.ReLU,
    ):
        super().__init__(
            ConvNormAct(in_channels, in_channels, stride=stride, groups=in_channels, act=act),
            ConvNormAct(in_channels, out_channels, 1, act=act),
        )


class MobileNetV1(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count, the paper's alpha.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        image_size: side of the image that `example` makes, rho * 224 in the paper, or its height
            and width; the network is the same for every size.
        shallow: leave out the five equal units in the middle (table 5).
        full_convs: 3 x 3 convolutions over all channels instead of separable ones (table 4).
        relu6: activations clipped at 6, as in the authors' code and in public weights, instead of
            the ReLU that the paper states.
        hidden: units of a layer with ReLU between the features and the classes; 0 for none, as
            published.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 2,
        image_size: Size = 224,
        shallow: bool = False,
        full_convs: bool = False,
        relu6: bool = False,
        hidden: int = 0,
    ):
        super().__init__()
        check_option("MobileNetV1", "stem_stride", stem_stride, (2, 1))
        self.in_channels, self.image_size = in_channels, image_size
        unit = ConvNormAct if full_convs else SeparableUnit
        act = nn.ReLU6 if relu6 else nn.ReLU
        channels = round_channels(32 * width)
        stem = ConvNormAct(in_channels, channels, stride=stem_stride, act=act)
        stages: list[list[nn.Module]] = [[stem]]
        for row in LAYOUT:
            if shallow and row == REPEATED:
                continue
            out, stride = row
            if stride == 2:
                stages.append([])
            into, channels = channels, round_channels(out * width)
            stages[-1].append(unit(into, channels, stride=stride, act=act))
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(hidden or channels, num_classes)
        if hidden:
            between = (nn.Linear(channels, hidden), nn.ReLU())
            self.classifier = nn.Sequential(*between, self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "MobileNetV1", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    example = image_example("image_size")
    tiny = tiny_build(width=0.25, image_size=64)


for _width in (1.0, 0.75, 0.5, 0.25):  # tables 6 and 7
    for _size in (224, 192, 160, 128):
        _name = "mobilenet_v1"
        _name += f"_w{_width}" if _width < 1 else ""
        _name += f"_r{_size}" if _size < 224 else ""
        register(_name, MobileNetV1, "classify", width=_width, image_size=_size)
register("mobilenet_v1_shallow", MobileNetV1, "classify", shallow=True)
register("mobilenet_v1_conv", MobileNetV1, "classify", full_convs=True)
