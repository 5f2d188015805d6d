"""ResNet for CIFAR: three stages of basic units whose shortcuts have no weights.

Source:  He et al., CVPR 2016, arXiv:1512.03385, section 4.2; shortcuts by option A.
Claims:  claims/resnet.toml
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import ConvNormAct, check_image, draw_he_normal, round_channels
from convatlas.errors import UsageError
from convatlas.models.registry import register

CHANNELS = (16, 32, 64)
DEPTHS = (20, 32, 44, 56, 110, 1202)  # table 6


class ShortcutA(nn.Module):
    """The input itself: every stride-th pixel, new channels zero, half before and half after.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.stride = stride
        extra = out_channels - in_channels
        self.pad = (0, 0, 0, 0, extra // 2, extra - extra // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


class CifarUnit(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without weights.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int):
        super().__init__()
        self.residue = nn.Sequential(
            ConvNormAct(in_channels, out_channels, stride=stride),
            ConvNormAct(out_channels, out_channels, act=None),
        )
        changes = stride > 1 or in_channels != out_channels
        self.shortcut = ShortcutA(in_channels, out_channels, stride) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residue(x) + self.shortcut(x))


class ResNetCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        depth: weighted layers, 6 n + 2 for n units a stage.
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 1 pixel up.

    Raises:
        UsageError: depth is not 6 n + 2.
    """

    min_size = 1

    def __init__(
        self,
        *,
        depth: int = 20,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
    ):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise UsageError(
                f"ResNetCifar: depth must be 6 n + 2, got {depth}; the paper has "
                f"{', '.join(map(str, DEPTHS))}"
            )
        self.in_channels = in_channels
        # Multiples of four: eight would make one network of all widths below a half.
        channels = round_channels(CHANNELS[0] * width, 4)
        stages: list[list[nn.Module]] = [[ConvNormAct(in_channels, channels)]]
        for index, base in enumerate(CHANNELS):
            if index > 0:
                stages.append([])
            for repeat in range((depth - 2) // 6):
                into, channels = channels, round_channels(base * width, 4)
                stride = 2 if index > 0 and repeat == 0 else 1
                stages[-1].append(CifarUnit(into, channels, stride=stride))
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Linear(channels, num_classes)
        draw_he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ResNetCifar", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x).mean((2, 3)))

    def example(self, batch: int = 1, size: int = 32) -> tuple[Tensor]:
        """An input of the size that the published figures hold for."""
        return (torch.rand(batch, self.in_channels, size, size),)

    @classmethod
    def tiny(
        cls, *, in_channels: int = 3, num_classes: int = 5
    ) -> "tuple[ResNetCifar, tuple[Tensor]]":
        """The smallest honest build and a batch of two: for tests and first steps."""
        model = cls(depth=8, width=0.5, in_channels=in_channels, num_classes=num_classes)
        return model, model.example(batch=2, size=16)


for _depth in DEPTHS:
    register(f"resnet{_depth}_cifar", ResNetCifar, depth=_depth)
