"""PydMobileNet: filters of several sizes on each channel alone, side by side.

Source:  Hoang, Jo, 2018, arXiv:1811.07083; the graphs that the authors released.
Claims:  claims/pydmobilenet.toml
Differs: the norm of the input has no parameters; the authors' files list three shifts for it
         that are never learned, so their counts are larger by 3.
"""

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from convatlas.blocks import ConvNormAct, check_image, draw_he_normal, round_channels
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.pyramid import Pyramid

STAGES = 3
PYRAMID = (3, 5, 7)


class PydUnit(nn.Module):
    """Norm, ReLU, 1 x 1 to `hidden`, norm, ReLU, filter, norm, ReLU, 1 x 1, norm; and a shortcut.

    Args:
        hidden: channels that are filtered.
        kernels: sizes of the filters, each on every channel alone; none for one full 3 x 3
            convolution, the ResNet that the paper compares with.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    only_calls_and_adds = True  # see `convatlas.kernels`: batch norms may be fused across it

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden: int,
        stride: int,
        kernels: Sequence[int],
        concat: bool,
    ):
        super().__init__()
        if kernels:
            filters = Pyramid(hidden, kernels, stride=stride, concat=concat)
        else:
            filters = nn.Conv2d(hidden, hidden, 3, stride=stride, padding=1, bias=False)
        self.residue = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(),
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            filters,
            nn.BatchNorm2d(filters.out_channels),
            nn.ReLU(),
            nn.Conv2d(filters.out_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Identity()
            if same
            else ConvNormAct(in_channels, out_channels, 1, stride=stride, act=None)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.residue(x) + self.shortcut(x)


class PydMobileNet(nn.Module):
    """Image classifier for images of about 32 pixels, and the two that its paper compares it with.

    Args:
        depth: weighted layers, 9 n + 2 for n units a stage.
        width: filtered channels over the channels of a stage, the paper's alpha.
        in_channels: channels of the image.
        num_classes: length of the output.
        kernels: sizes of the filters; `(3,)` is the paper's MobileNet, `()` its ResNet, which has
            full 3 x 3 convolutions.
        concat: lay the answers of the filters side by side instead of adding them.
        channels: of the first stage; they double twice.
        head: channels of a last norm, ReLU and 1 x 1 convolution before the pooling; 0 for none.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: depth is not 9 n + 2.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        depth: int = 29,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        kernels: Sequence[int] = PYRAMID,
        concat: bool = False,
        channels: int = 32,
        head: int = 0,
    ):
        super().__init__()
        if depth < 11 or depth % 9 != 2:
            raise UsageError(
                f"PydMobileNet: depth must be 9 n + 2, got {depth}; the paper has 29, 56"
            )
        self.in_channels = in_channels
        into = channels
        stem = nn.Conv2d(in_channels, into, 3, padding=1, bias=False)
        stages: list[list[nn.Module]] = [[nn.BatchNorm2d(in_channels, affine=False), stem]]
        for index in range(STAGES):
            if index > 0:
                stages.append([])
            out = channels * 2**index
            for repeat in range((depth - 2) // 9):
                stages[-1].append(
                    PydUnit(
                        into,
                        out,
                        hidden=round_channels(out * width, 4),
                        stride=2 if index > 0 and repeat == 0 else 1,
                        kernels=kernels,
                        concat=concat,
                    )
                )
                into = out
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = _head(into, head) if head else nn.Identity()
        self.classifier = nn.Linear(head or into, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "PydMobileNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.head(self.stages(x)).mean((2, 3)))

    example = image_example(32)
    tiny = tiny_build(16, depth=11, width=0.25)


def _head(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(in_channels), nn.ReLU(), nn.Conv2d(in_channels, channels, 1)
    )


def _name(family: str, depth: int, width: float, end: str = "") -> str:
    return f"{family}{depth}_cifar" + (f"_w{width}" if width != 1 else "") + end


for _depth in (29, 56):
    for _width in (1.0, 0.75, 0.5, 0.25):
        register(
            _name("pydmobilenet", _depth, _width),
            PydMobileNet,
            "classify",
            depth=_depth,
            width=_width,
        )
    for _width in (0.75, 0.5, 0.25):
        register(
            _name("pydmobilenet", _depth, _width, "_concat"),
            PydMobileNet,
            "classify",
            depth=_depth,
            width=_width,
            concat=True,
        )
    for _width in (0.5, 1.0, 1.5):
        register(
            _name("mobilenet", _depth, _width),
            PydMobileNet,
            "classify",
            depth=_depth,
            width=_width,
            kernels=(3,),
        )
    register(
        _name("resnet", _depth, 0.5, "_bottleneck"),
        PydMobileNet,
        "classify",
        depth=_depth,
        width=0.5,
        kernels=(),
    )
for _width in (0.75, 0.5, 0.25):
    register(
        f"pydmobilenet56_imagenet32_w{_width}",
        PydMobileNet,
        "classify",
        depth=56,
        width=_width,
        num_classes=1000,
        concat=True,
        channels=64,
        head=1280,
    )
