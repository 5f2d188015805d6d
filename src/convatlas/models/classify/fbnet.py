"""FBNet: 22 blocks, each chosen from nine by gradient descent on accuracy and latency together.

Source:  Wu et al., CVPR 2019, arXiv:1812.03443, tables 1 and 2 and figure 4.
Claims:  claims/fbnet.toml
Differs: layer 16 of FBNet-A and layer 11 of FBNet-B are read differently by two sources; ours are
         those that come nearest to the published multiply-adds.
"""

from typing import Final, NamedTuple

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, check_option, round_channels
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.shuffle import shuffle_channels

CHOICES = {  # table 2: kernel, expand, groups; the ninth choice is `skip`
    "k3_e1": (3, 1, 1),
    "k3_e1_g2": (3, 1, 2),
    "k3_e3": (3, 3, 1),
    "k3_e6": (3, 6, 1),
    "k5_e1": (5, 1, 1),
    "k5_e1_g2": (5, 1, 2),
    "k5_e3": (5, 3, 1),
    "k5_e6": (5, 6, 1),
}
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # table 1: of the first block of each row


class Searched(NamedTuple):
    """What a search chose, row by row, and the channels around it (those of table 1)."""

    blocks: tuple[str, ...]
    head: int = 1984
    stem: int = 16
    channels: tuple[int, ...] = (16, 24, 32, 64, 112, 184, 352)
    image_size: int = 224


FORMS = {
    "a": Searched(
        (
            "skip",
            "k3_e3 k3_e1 skip skip",
            "k5_e6 k3_e3 k5_e1 k3_e3",
            "k5_e6 k5_e3 k5_e1_g2 k5_e6",
            "k3_e6 k5_e1_g2 k5_e3 k3_e1_g2",
            "k5_e6 k5_e6 k5_e3 k5_e6",
            "k5_e6",
        ),
        head=1504,
    ),
    "b": Searched(
        (
            "k3_e1",
            "k3_e6 k5_e1 k3_e1 k3_e1",
            "k5_e6 k5_e3 k3_e6 k5_e6",
            "k5_e6 k5_e1 skip k5_e3",
            "k5_e6 k3_e1 k5_e1 k5_e3",
            "k5_e6 k5_e1 k5_e6 k5_e6",
            "k3_e6",
        )
    ),
    "c": Searched(
        (
            "k3_e1",
            "k3_e6 skip k3_e1 k3_e1",
            "k5_e6 k5_e3 k5_e6 k3_e6",
            "k5_e6 k5_e3 k5_e6 k5_e6",
            "k5_e6 k5_e6 k5_e6 k5_e3",
            "k5_e6 k5_e6 k5_e6 k5_e6",
            "k3_e6",
        )
    ),
    "s8": Searched(
        (
            "k3_e1",
            "k3_e3 k3_e1 skip skip",
            "k5_e6 k3_e3 k3_e3 k3_e6",
            "k5_e6 k5_e3 k5_e3 k5_e3",
            "k3_e6 k5_e3 k5_e3 k5_e3",
            "k5_e6 k5_e6 k5_e3 k5_e6",
            "k5_e6",
        )
    ),
    "iphonex": Searched(
        (
            "skip",
            "k3_e6 k3_e1 k3_e1 k3_e1",
            "k3_e6 k3_e6 k3_e6 k3_e6",
            "k3_e6 k3_e6 k3_e3 k3_e6",
            "k3_e6 k3_e3 k3_e3 k3_e3",
            "k5_e6 k5_e6 k5_e6 k5_e3",
            "k5_e6",
        )
    ),
    "96_0.35_1": Searched(
        (
            "k3_e1",
            "k3_e6 k3_e6 skip skip",
            "k5_e6 k5_e6 skip skip",
            "k5_e6 skip skip skip",
            "k3_e6 skip skip skip",
            "k5_e6 k5_e6 skip skip",
            "k5_e6",
        ),
        head=1416,
        stem=8,
        channels=(8, 16, 16, 24, 40, 72, 128),
        image_size=96,
    ),
}
RELEASED = {"b": {11: "k5_e6"}}  # layers, counted from 1, that the authors' library has otherwise


class SearchedBlock(nn.Module):
    """Widen and mix, filter each channel alone, mix; add the input where both ends are alike.

    In two groups, both 1 x 1 convolutions have them, and a shuffle between hands channels over.

    Args:
        mix_first: keep the first 1 x 1 convolution where it does not widen.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int,
        expand: int,
        groups: int,
        mix_first: bool,
    ):
        super().__init__()
        hidden = in_channels * expand
        self.expand = nn.Identity()
        if expand > 1 or mix_first:
            self.expand = ConvNormAct(in_channels, hidden, 1, groups=groups)
        self.filter = ConvNormAct(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = ConvNormAct(hidden, out_channels, 1, groups=groups, act=None)
        self.groups = groups
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(x)
        if self.groups > 1:
            y = shuffle_channels(y, self.groups)
        y = self.project(self.filter(y))
        return x + y if self.residual else y


class FBNet(nn.Module):
    """Image classifier.

    Args:
        form: "a", "b" or "c", searched for a Samsung S8 under three limits; "s8" and "iphonex",
            for one phone each; "96_0.35_1", for images of 96 pixels with few channels.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        stem_stride: 2 as published; 1 keeps twice the resolution, for images under 64 pixels.
        released: as the authors' library builds it, where a block that does not widen has no
            first 1 x 1 convolution, and layer 11 of "b" is another.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        form: str = "a",
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        stem_stride: int = 2,
        released: bool = False,
    ):
        super().__init__()
        check_option("FBNet", "form", form, FORMS)
        check_option("FBNet", "stem_stride", stem_stride, (2, 1))
        self.in_channels = in_channels
        searched = FORMS[form]
        self.image_size = searched.image_size
        changed = RELEASED.get(form, {}) if released else {}
        channels = round_channels(searched.stem * width)
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, channels, stride=stem_stride)]]
        layer = 0
        self.repeats: list[int] = []  # blocks of each row, skipped layers left out
        for row, out, first in zip(searched.blocks, searched.channels, STRIDES, strict=True):
            if first == 2:
                stages.append([])
            before = sum(map(len, stages))
            for place, name in enumerate(row.split()):
                layer += 1
                if name == "skip":
                    continue
                kernel, expand, groups = CHOICES[changed.get(layer, name)]
                into, channels = channels, round_channels(out * width)
                block = SearchedBlock(
                    into,
                    channels,
                    kernel,
                    stride=first if place == 0 else 1,
                    expand=expand,
                    groups=groups,
                    mix_first=not released,
                )
                stages[-1].append(block)
            self.repeats.append(sum(map(len, stages)) - before)
        head = round_channels(searched.head * width)
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = ConvNormAct(channels, head, 1)
        self.classifier = nn.Linear(head, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "FBNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example("image_size")
    tiny = tiny_build(64, width=0.25)


for _form in FORMS:
    register(f"fbnet_{_form}", FBNet, "classify", form=_form)
