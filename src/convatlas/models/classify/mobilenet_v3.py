"""MobileNet V3: a searched order of inverted residuals, with cheap activations and channel gates.

Squeeze and excitation where it pays, a smooth activation only in the deep half, where maps are
small, and the widest layer moved behind the pooling, where it works on one pixel.

Source:  Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv:1905.02244, tables 1 and 2;
         other widths and the minimalistic form as in the authors' code (TensorFlow slim).
Claims:  claims/mobilenet_v3.toml
Differs: no squeeze and excitation after Small's last convolution, which table 2 marks and the
         authors' code and the published size leave out; the layer after the pooling does not
         shrink at widths below 1, as in that code; padding is symmetric, where that code pads as
         TensorFlow does (`padding="same"`).
"""

from functools import partial
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import (
    ConvNormAct,
    MBConv,
    SameConv,
    check_image,
    check_option,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

STEM = 16
RE, HS = False, True  # ReLU, h-swish


class Row(NamedTuple):
    """A line of table 1 or 2; `gated` is a squeeze and excitation."""

    kernel: int
    wide: int
    channels: int
    gated: bool
    swish: bool
    stride: int


LARGE = (  # table 1
    Row(3, 16, 16, False, RE, 1),
    Row(3, 64, 24, False, RE, 2),
    Row(3, 72, 24, False, RE, 1),
    Row(5, 72, 40, True, RE, 2),
    Row(5, 120, 40, True, RE, 1),
    Row(5, 120, 40, True, RE, 1),
    Row(3, 240, 80, False, HS, 2),
    Row(3, 200, 80, False, HS, 1),
    Row(3, 184, 80, False, HS, 1),
    Row(3, 184, 80, False, HS, 1),
    Row(3, 480, 112, True, HS, 1),
    Row(3, 672, 112, True, HS, 1),
    Row(5, 672, 160, True, HS, 2),
    Row(5, 960, 160, True, HS, 1),
    Row(5, 960, 160, True, HS, 1),
)
SMALL = (  # table 2
    Row(3, 16, 16, True, RE, 2),
    Row(3, 72, 24, False, RE, 2),
    Row(3, 88, 24, False, RE, 1),
    Row(5, 96, 40, True, HS, 2),
    Row(5, 240, 40, True, HS, 1),
    Row(5, 240, 40, True, HS, 1),
    Row(5, 120, 48, True, HS, 1),
    Row(5, 144, 48, True, HS, 1),
    Row(5, 288, 96, True, HS, 2),
    Row(5, 576, 96, True, HS, 1),
    Row(5, 576, 96, True, HS, 1),
)
LAYOUTS = {"large": (LARGE, 1280), "small": (SMALL, 1024)}  # and the layer behind the pooling
LAST = 6  # the convolution before the pooling has six times the channels that it reads


class MobileNetV3(nn.Module):
    """Image classifier.

    Args:
        form: "large" or "small", the paper's two tables.
        width: multiplies every channel count; the head grows with it but never shrinks.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the head's features zeroed in training.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        minimalistic: 3 x 3 filters, ReLU and no gates throughout, for hardware that is slow at
            the rest.
        head: features behind the pooling; None for the table's 1280 (large) or 1024 (small).
        padding: "symmetric", or "same" as TensorFlow pads, which weights trained there need.
        norm_eps: added to the variance by the norms; 1e-3 as published, some ports have 1e-5.
        halved: half as many channels behind the last stride, as detectors have them (section 6.3).

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "large",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 2,
        minimalistic: bool = False,
        head: int | None = None,
        padding: str = "symmetric",
        norm_eps: float = 1e-3,
        halved: bool = False,
    ):
        super().__init__()
        check_option("MobileNetV3", "form", form, LAYOUTS)
        check_option("MobileNetV3", "stem_stride", stem_stride, (2, 1))
        check_option("MobileNetV3", "padding", padding, ("symmetric", "same"))
        self.in_channels, self.form = in_channels, form
        layout, table_head = LAYOUTS[form]
        smooth = nn.ReLU if minimalistic else nn.Hardswish
        channels, table_channels = round_channels(STEM * width), STEM
        conv = partial(
            ConvNormAct,
            norm_eps=norm_eps,
            conv=SameConv if padding == "same" else nn.Conv2d,
        )
        stages: list[list[nn.Module]] = [
            [conv(in_channels, channels, stride=stem_stride, act=smooth)]
        ]
        last_stride = max(place for place, row in enumerate(layout) if row.stride == 2)
        for place, row in enumerate(layout):
            if row.stride == 2:
                stages.append([])
            share = 0.5 if halved and place >= last_stride else 1
            into, channels = channels, round_channels(row.channels * width * share)
            # By how much a block widens is kept, not how wide it gets, as in the authors' code.
            wide = round_channels(into * row.wide / table_channels)
            unit = MBConv(
                into,
                channels,
                3 if minimalistic else row.kernel,
                stride=row.stride,
                expand=wide / into,
                hidden=round_channels(wide / 4) if row.gated and not minimalistic else 0,
                gate=F.hardsigmoid,
                conv=partial(conv, act=smooth if row.swish else nn.ReLU),
            )
            stages[-1].append(unit)
            table_channels = row.channels
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        last = LAST * channels
        self.head = conv(channels, last, 1, act=smooth)
        features = round_channels((head or table_head) * max(1.0, width))
        self.classifier = nn.Sequential(
            nn.Linear(last, features),
            smooth(),
            nn.Dropout(dropout),
            nn.Linear(features, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "MobileNetV3", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, form="small", width=0.35, head=64)


for _form in LAYOUTS:
    register(f"mobilenet_v3_{_form}", MobileNetV3, "classify", form=_form)
    for _width in (0.35, 0.5, 0.75, 1.25):
        register(
            f"mobilenet_v3_{_form}_w{_width}", MobileNetV3, "classify", form=_form, width=_width
        )
    register(
        f"mobilenet_v3_{_form}_minimalistic", MobileNetV3, "classify", form=_form, minimalistic=True
    )
