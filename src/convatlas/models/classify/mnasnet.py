"""MnasNet: the network that a search chose for its accuracy and its measured time on a phone.

The search chose for each stage by itself, so kernels, expansion, depth and gates differ between
them; within a stage all blocks are alike.

Source:  Tan et al., CVPR 2019, arXiv:1807.11626, figure 7; the small form from the authors'
         repository.
Claims:  claims/mnasnet.toml
Differs: starting weights and the momentum of the norms are torch's.
"""

from functools import partial
from typing import Final, NamedTuple

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, MBConv, check_image, check_option, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

HEAD = 1280


class Row(NamedTuple):
    """A stage; the stride is that of its first block."""

    expand: int
    kernel: int
    channels: int
    repeats: int
    stride: int
    gated: bool = False


A1 = (  # figure 7; its first row is a separable convolution, which is a block without expansion
    Row(1, 3, 16, 1, 1),
    Row(6, 3, 24, 2, 2),
    Row(3, 5, 40, 3, 2, gated=True),
    Row(6, 3, 80, 4, 2),
    Row(6, 3, 112, 2, 1, gated=True),
    Row(6, 5, 160, 3, 2, gated=True),
    Row(6, 3, 320, 1, 1),
)
B1 = (
    Row(1, 3, 16, 1, 1),
    Row(3, 3, 24, 3, 2),
    Row(3, 5, 40, 3, 2),
    Row(6, 5, 80, 3, 2),
    Row(6, 3, 96, 2, 1),
    Row(6, 5, 192, 4, 2),
    Row(6, 3, 320, 1, 1),
)
SMALL = (
    Row(1, 3, 8, 1, 1),
    Row(3, 3, 16, 1, 2),
    Row(6, 3, 16, 2, 2),
    Row(6, 5, 32, 4, 2, gated=True),
    Row(6, 3, 32, 3, 1, gated=True),
    Row(6, 5, 88, 3, 2, gated=True),
    Row(6, 3, 144, 1, 1),
)
FORMS = {"a1": (32, A1), "b1": (32, B1), "small": (8, SMALL)}  # stem channels, stages


class MnasNet(nn.Module):
    """Image classifier.

    Args:
        form: "a1", with squeeze and excitation in three stages; "b1", without; or "small".
        width: multiplies every channel count but the head's.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        norm_eps: added to the variance by the norms; 1e-3 as published, torchvision's and timm's
            have 1e-5.
        narrow_head: the head has `width` as well, as in detectors.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "a1",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stem_stride: int = 2,
        norm_eps: float = 1e-3,
        narrow_head: bool = False,
    ):
        super().__init__()
        check_option("MnasNet", "form", form, FORMS)
        check_option("MnasNet", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        stem, layout = FORMS[form]
        self.repeats = tuple(row.repeats for row in layout)
        conv = partial(ConvNormAct, norm_eps=norm_eps)
        channels = round_channels(stem * width)
        stages: list[list[nn.Module]] = [[conv(in_channels, channels, stride=stem_stride)]]
        for row in layout:
            if row.stride == 2:
                stages.append([])
            for stride in [row.stride] + [1] * (row.repeats - 1):
                into, channels = channels, round_channels(row.channels * width)
                block = MBConv(
                    into,
                    channels,
                    row.kernel,
                    stride=stride,
                    expand=row.expand,
                    hidden=into // 4 if row.gated else 0,
                    conv=conv,
                )
                stages[-1].append(block)
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        head = round_channels(HEAD * width) if narrow_head else HEAD
        self.head = conv(channels, head, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "MnasNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(224)
    tiny = tiny_build(64, width=0.35)


for _form in FORMS:
    register(f"mnasnet_{_form}", MnasNet, "classify", form=_form)
for _width in (0.35, 0.5, 0.75, 1.4):
    register(f"mnasnet_a1_w{_width}", MnasNet, "classify", form="a1", width=_width)
for _width in (0.5, 0.75, 1.3, 1.4):
    register(f"mnasnet_b1_w{_width}", MnasNet, "classify", form="b1", width=_width)
