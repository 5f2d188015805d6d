"""Network in Network: a small perceptron slides over the image instead of a linear filter.

Each spatial convolution is followed by two of 1 x 1, the last layer has one map a class, and the
mean of a map is the answer: no fully connected layer is left that could overfit.

Source:  Lin, Chen, Yan, ICLR 2014, arXiv:1312.4400, sections 3 and 4; layer widths from the
         authors' released configurations.
Claims:  claims/network_in_network.toml
Differs: poolings of the ImageNet form drop an incomplete window at the border, where Caffe keeps
         it; starting weights are He's and the class maps start from a bias of one, where the
         released configurations draw N(0, 0.05).
"""

from typing import Final

from torch import Tensor, nn

from convatlas.blocks import (
    check_exact_image,
    check_image,
    check_option,
    draw_he_normal,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

CIFAR = ((5, (192, 160, 96)), (5, (192, 192, 192)), (3, (192, 192)))  # kernel, channels
IMAGENET = ((11, (96, 96, 96)), (5, (256, 256, 256)), (3, (384, 384, 384)), (3, (1024, 1024)))
CIFAR_SIZE = (32, 32)


def mlpconv(
    in_channels: int, channels: tuple[int, ...], kernel: int, *, stride: int, padding: int
) -> list[nn.Module]:
    """Build a convolution and the 1 x 1 ones that make it a perceptron, all rectified."""
    first, *rest = channels
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, first, kernel, stride=stride, padding=padding),
        nn.ReLU(),
    ]
    for into, out in zip(channels, rest, strict=False):
        layers += [nn.Conv2d(into, out, 1), nn.ReLU()]
    return layers


def class_maps(in_channels: int, num_classes: int) -> nn.Sequential:
    """Build one rectified map a class; all start above zero, because a dead one stays dead."""
    layer = nn.Conv2d(in_channels, num_classes, 1)
    nn.init.normal_(layer.weight, std=0.01)
    assert layer.bias is not None
    nn.init.ones_(layer.bias)
    return nn.Sequential(layer, nn.ReLU())


class NINCifar(nn.Module):
    """Image classifier for images of about 32 pixels.

    Args:
        width: multiplies every channel count but that of the class maps.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the maps' pixels zeroed in training, behind both poolings.
        average_pooling: the second pooling averages, as in the released configuration; else it
            takes the maximum, as the paper's text has it.
        fully_connected: one linear layer reads the class maps instead of their mean, for the
            comparison of table 5; the image must then be 32 x 32.
        head_dropout: share of what that layer reads zeroed in training.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from 4 pixels up.
    """

    min_size: Final = 4

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 10,
        dropout: float = 0.5,
        average_pooling: bool = True,
        fully_connected: bool = False,
        head_dropout: float = 0.0,
    ):
        super().__init__()
        self.in_channels = in_channels
        # Incomplete windows at the border count, so that 32 pixels become 16 and 8.
        second = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        third = nn.AvgPool2d(3, stride=2, ceil_mode=True) if average_pooling else second
        poolings = (None, second, third)
        stages: list[nn.Module] = []
        into = in_channels
        for pooling, (kernel, channels) in zip(poolings, CIFAR, strict=True):
            scaled = tuple(round_channels(c * width) for c in channels)
            front = [] if pooling is None else [pooling, nn.Dropout(dropout)]
            block = mlpconv(into, scaled, kernel, stride=1, padding=kernel // 2)
            stages.append(nn.Sequential(*front, *block))
            into = scaled[-1]
        self.stages = nn.Sequential(*stages)
        draw_he_normal(self)
        self.class_maps = class_maps(into, num_classes)
        self.classifier: nn.Module | None = None
        if fully_connected:
            self.exact_size = CIFAR_SIZE
            layer = nn.Linear(num_classes * 8 * 8, num_classes)
            self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(head_dropout), layer)

    def forward(self, x: Tensor) -> Tensor:
        if self.classifier is not None:
            check_exact_image(x, "NINCifar", channels=self.in_channels, size=CIFAR_SIZE)
            return self.classifier(self.class_maps(self.stages(x)))
        check_image(x, "NINCifar", channels=self.in_channels, min_size=self.min_size)
        return self.class_maps(self.stages(x)).mean((2, 3))

    example = image_example(32)
    tiny = tiny_build(16, width=0.25)


class NINImageNet(nn.Module):
    """Image classifier of four blocks, the form that the authors released for ImageNet.

    Args:
        width: multiplies every channel count but that of the class maps.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the maps' pixels zeroed in training, behind the last pooling.
        stem_stride: step of the first convolution, 4 as published; 2 or 1 for smaller images.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 67 pixels
        as published, 39 with a stem_stride of 2, 25 with 1.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("NINImageNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        self.min_size = 11 + 14 * stem_stride  # fifteen pixels for the three poolings
        stages: list[nn.Module] = []
        into = in_channels
        for number, (kernel, channels) in enumerate(IMAGENET, start=1):
            scaled = tuple(round_channels(c * width) for c in channels)
            front: list[nn.Module] = [nn.MaxPool2d(3, stride=2)] if number > 1 else []
            if number == len(IMAGENET):
                front.append(nn.Dropout(dropout))
            stride, padding = (stem_stride, 0) if number == 1 else (1, kernel // 2)
            block = mlpconv(into, scaled, kernel, stride=stride, padding=padding)
            stages.append(nn.Sequential(*front, *block))
            into = scaled[-1]
        self.stages = nn.Sequential(*stages)
        draw_he_normal(self)
        self.class_maps = class_maps(into, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "NINImageNet", channels=self.in_channels, min_size=self.min_size)
        return self.class_maps(self.stages(x)).mean((2, 3))

    example = image_example(224)
    tiny = tiny_build(96, width=0.125)


register("nin_cifar", NINCifar, "classify")
register("nin_cifar_fc", NINCifar, "classify", fully_connected=True)
register("nin_imagenet", NINImageNet, "classify")
