"""LeNet-5: the network that read the digits on cheques, and what is left of it today.

Convolutions find strokes, trainable sub-sampling forgets where exactly they were, and each class
is a fixed drawing that the last layer is compared with.

Source:  LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document
         Recognition", Proceedings of the IEEE 86(11), 1998, section II.B, table I, equations 7-9.
Claims:  claims/lenet.toml
Differs: the drawings of the output units are seeded codes of +1 and -1: the 7 x 12 bitmaps
         of the paper are not at hand; logits are minus the distances, so that the largest wins.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from convatlas.blocks import check_exact_image
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

C3_TABLE = (  # table I: the S2 maps that each map of C3 reads
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)
SIZE = (32, 32)  # the digit of 28 x 28 in a field of 32 x 32, so that strokes at its edge are seen


class ScaledTanh(nn.Module):
    """1.7159 tanh(2 x / 3): +1 and -1 are mapped to themselves, away from the flat ends."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsample(nn.Module):
    """Sum of each 2 x 2 window, times one coefficient a map, plus one bias a map.

    Shape: (n, c, h, w) -> (n, c, h // 2, w // 2)
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(channels, 1, 1))
        bound = 2.4 / 4  # the paper's draw; a unit here has four inputs
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 2) * (4 * self.weight) + self.bias


class PartialConv(nn.Module):
    """A convolution whose output maps read only the input maps that a table lists.

    Maps with equally many sources share one grouped convolution, so that no weight is stored or
    multiplied where the table has no connection. The table must be sorted by row length.

    Shape: (n, c, h, w) -> (n, len(table), h - kernel + 1, w - kernel + 1)

    Cost: pairs in the table * kernel ** 2 multiply-adds per output pixel.
    """

    def __init__(self, table: Sequence[Sequence[int]], kernel: int):
        super().__init__()
        self.convs = nn.ModuleList()
        self.sources: list[list[int]] = []
        for length in sorted({len(row) for row in table}):
            rows = [row for row in table if len(row) == length]
            self.sources.append([source for row in rows for source in row])
            self.convs.append(nn.Conv2d(length * len(rows), len(rows), kernel, groups=len(rows)))

    def forward(self, x: Tensor) -> Tensor:
        pairs = zip(self.sources, self.convs, strict=True)
        return torch.cat([conv(x[:, sources]) for sources, conv in pairs], dim=1)


class EuclideanOutput(nn.Module):
    """Minus the squared distance of the features to a fixed code of each class (equation 7).

    Args:
        features: length of a code.
        num_classes: how many codes.

    Shape: (n, features) -> (n, num_classes), none above zero
    """

    codes: Tensor

    def __init__(self, features: int, num_classes: int):
        super().__init__()
        self.in_features = features
        draw = random.Random(1998)  # torch's generators do not work on the meta device
        codes = [[draw.choice((-1.0, 1.0)) for _ in range(features)] for _ in range(num_classes)]
        self.register_buffer("codes", torch.tensor(codes))

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None] - self.codes).square().sum(2)


class LeNet5(nn.Module):
    """Digit classifier, as published.

    Args:
        in_channels: channels of the image.
        num_classes: length of the output.
        trainable_pooling: sub-sampling with a coefficient, a bias and a squashing, as published;
            else plain average pooling.
        distance_output: distances to fixed codes, as published; else a linear layer.

    Shape: (n, in_channels, 32, 32) -> (n, num_classes) logits
    """

    min_size = 32
    exact_size: Final = SIZE

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        trainable_pooling: bool = True,
        distance_output: bool = True,
    ):
        super().__init__()
        self.in_channels = in_channels

        def pool(channels: int) -> nn.Module:
            if trainable_pooling:
                return nn.Sequential(Subsample(channels), ScaledTanh())
            return nn.AvgPool2d(2)

        self.features = _trunk(
            nn.Conv2d(in_channels, 6, 5), pool(6), PartialConv(C3_TABLE, 5), pool(16), ScaledTanh
        )
        output = EuclideanOutput if distance_output else nn.Linear
        self.classifier = output(84, num_classes)
        self.apply(_draw_weights)

    def forward(self, x: Tensor) -> Tensor:
        check_exact_image(x, "LeNet5", channels=self.in_channels, size=SIZE)
        return self.classifier(self.features(x))

    example = image_example(SIZE)
    tiny = tiny_build(in_channels=1)


class LeNet5Modern(nn.Module):
    """The simplification that is taught today: full C3, average pooling, tanh, linear output.

    Args:
        width: multiplies the channels of every hidden layer.
        in_channels: channels of the image.
        num_classes: length of the output.

    Shape: (n, in_channels, 32, 32) -> (n, num_classes) logits
    """

    min_size = 32
    exact_size: Final = SIZE

    def __init__(self, *, width: float = 1.0, in_channels: int = 1, num_classes: int = 10):
        super().__init__()
        self.in_channels = in_channels
        c1, c3, c5, f6 = (max(1, round(c * width)) for c in (6, 16, 120, 84))
        self.features = _trunk(
            nn.Conv2d(in_channels, c1, 5),
            nn.AvgPool2d(2),
            nn.Conv2d(c1, c3, 5),
            nn.AvgPool2d(2),
            nn.Tanh,
            channels=(c3, c5, f6),
        )
        self.classifier = nn.Linear(f6, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_exact_image(x, "LeNet5Modern", channels=self.in_channels, size=SIZE)
        return self.classifier(self.features(x))

    example = image_example(SIZE)
    tiny = tiny_build(in_channels=1, width=0.5)


def right_distance_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Average the distance to the code of the right class (equation 8).

    Shape: (n, num_classes) logits of `EuclideanOutput`, (n,) classes -> ()
    """
    return -logits.gather(1, target[:, None]).mean()


def map_loss(logits: Tensor, target: Tensor, *, rubbish: float = 0.1) -> Tensor:
    """Add a term that pushes the wrong classes away to the right distance (equation 9).

    Args:
        rubbish: the paper's j > 0, the distance of a class of everything else.

    Shape: (n, num_classes) logits of `EuclideanOutput`, (n,) classes -> ()
    """
    others = torch.cat([logits.new_full((len(logits), 1), -rubbish), logits], dim=1)
    return right_distance_loss(logits, target) + others.logsumexp(1).mean()


def _trunk(
    c1: nn.Module,
    s2: nn.Module,
    c3: nn.Module,
    s4: nn.Module,
    act: Callable[[], nn.Module],
    channels: tuple[int, int, int] = (16, 120, 84),
) -> nn.Sequential:
    """Build C1 to F6 in the order that both forms share."""
    maps, c5, f6 = channels
    front = (c1, act(), s2, c3, act(), s4, nn.Conv2d(maps, c5, 5), act())
    return nn.Sequential(*front, nn.Flatten(), nn.Linear(c5, f6), act())


def _draw_weights(module: nn.Module) -> None:
    """Draw within 2.4 / fan_in, so that sums start in the steep part of the squashing."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        bound = 2.4 / module.weight[0].numel()
        nn.init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -bound, bound)


register("lenet5", LeNet5, "classify")
register("lenet5_modern", LeNet5Modern, "classify")
