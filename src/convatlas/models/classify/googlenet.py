"""GoogLeNet: modules that look at several scales at once and join what they see.

Wide filters are paid for by 1 x 1 convolutions that first make the maps few; two classifiers
half way up send a gradient into the deep trunk while it trains.

Source:  Szegedy et al., CVPR 2015, arXiv:1409.4842, table 1; the form with batch norm from Ioffe
         and Szegedy, arXiv:1502.03167; the slim form from TensorFlow slim's inception_v1.
Claims:  claims/googlenet.toml
Differs: starting weights are He's and the response norms have AlexNet's numbers: the paper
         states neither.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    TrainingOutputs,
    check_image,
    check_option,
    local_response_norm_layer,
    loss_with_auxiliary,
    round_channels,
)
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

STEM = (64, 64, 192)  # 7 x 7, 1 x 1, 3 x 3
MODULES = (  # table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj; a stage a line
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
TAPPED_STAGE = 3
TAPPED_LAYERS = (1, 4)  # modules 4a and 4d
AUXILIARY_CHANNELS, AUXILIARY_HIDDEN, AUXILIARY_DROPOUT, AUXILIARY_WEIGHT = 128, 1024, 0.7, 0.3

NewConv = Callable[..., nn.Module]


def conv_act(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> nn.Module:
    """Build a convolution with bias, padded to keep its size, and a rectified unit."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.ReLU())


def conv_norm_act(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1
) -> nn.Module:
    """Build the same with batch norm in place of the bias."""
    return ConvNormAct(in_channels, out_channels, kernel, stride=stride, norm_eps=1e-3)


class InceptionModule(nn.Module):
    """Four branches read one input: 1 x 1, 3 x 3, 5 x 5 and a pooling, each kept cheap by 1 x 1.

    Args:
        row: channels as table 1 lists them.
        wide: side of the widest window.
        conv: builds a convolution with its activation.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, row: tuple[int, ...], *, wide: int, conv: NewConv):
        super().__init__()
        one, reduce3, three, reduce5, five, projected = row
        self.out_channels = one + three + five + projected
        self.one = conv(in_channels, one, 1)
        self.three = nn.Sequential(conv(in_channels, reduce3, 1), conv(reduce3, three, 3))
        self.five = nn.Sequential(conv(in_channels, reduce5, 1), conv(reduce5, five, wide))
        self.pool = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, projected, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


class GoogLeNet(nn.Module):
    """Image classifier.

    Args:
        width: multiplies every channel count, those of the auxiliary classifiers too.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the pooled features zeroed in training.
        stem_stride: 4 as published; 2 leaves out the pooling behind the first convolution, 1 also
            its stride, for images under 64 pixels.
        auxiliary: build the two classifiers that help training; evaluation never runs them.
        batch_norm: batch norm behind every convolution, in place of bias and response norms.
        slim: the form whose weights are public: 3 x 3 where the paper has 5 x 5, and a last
            pooling of 2 x 2.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; in training with auxiliary
        classifiers `TrainingOutputs`, whose first field they are. h and w from `min_size` up: 31
        pixels as published, 79 with auxiliary classifiers, fewer with a smaller stem_stride.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.4,
        stem_stride: int = 4,
        auxiliary: bool = False,
        batch_norm: bool = False,
        slim: bool = False,
    ):
        super().__init__()
        check_option("GoogLeNet", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels = in_channels
        self.min_size = smallest_size(stem_stride, auxiliary=auxiliary)
        conv = conv_norm_act if batch_norm else conv_act
        norm = nn.Identity if batch_norm else local_response_norm_layer

        def pool(kernel: int = 3) -> nn.Module:
            return nn.MaxPool2d(kernel, stride=2, ceil_mode=True)

        first, narrow, channels = (_scaled(c, width) for c in STEM)
        front = pool() if stem_stride == 4 else nn.Identity()
        stages = [
            [conv(in_channels, first, 7, stride=1 if stem_stride == 1 else 2)],
            [front, norm(), conv(first, narrow, 1), conv(narrow, channels, 3), norm()],
        ]
        for number, rows in enumerate(MODULES):
            stages.append([pool(2 if slim and number == 2 else 3)])
            for row in rows:
                scaled = tuple(_scaled(c, width) for c in row)
                module = InceptionModule(channels, scaled, wide=3 if slim else 5, conv=conv)
                stages[-1].append(module)
                channels = module.out_channels
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        self.auxiliary: nn.ModuleList | None = None
        if auxiliary:
            tapped = (stages[TAPPED_STAGE][i] for i in TAPPED_LAYERS)
            self.auxiliary = nn.ModuleList(
                _auxiliary_classifier(module.out_channels, num_classes, width, conv)
                for module in tapped
                if isinstance(module, InceptionModule)
            )
        draw_he_fan_in(self)

    def forward(self, x: Tensor) -> Tensor | TrainingOutputs:
        check_image(x, "GoogLeNet", channels=self.in_channels, min_size=self.min_size)
        if self.auxiliary is None or not self.training:
            return self.classifier(self.stages(x).mean((2, 3)))
        tapped = []
        for number, stage in enumerate(self.stages):
            for index, layer in enumerate(stage.children()):
                x = layer(x)
                if number == TAPPED_STAGE and index in TAPPED_LAYERS:
                    tapped.append(x)
        logits = self.classifier(x.mean((2, 3)))
        pairs = zip(self.auxiliary, tapped, strict=True)
        return TrainingOutputs(logits, [head(maps) for head, maps in pairs])

    def loss(
        self,
        outputs: Tensor | TrainingOutputs,
        target: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
    ) -> Tensor:
        """Add 0.3 of the loss of either auxiliary classifier to that of the logits (section 5)."""
        return loss_with_auxiliary(outputs, target, criterion, weight=AUXILIARY_WEIGHT)

    example = image_example(224)
    tiny = tiny_build(48, width=0.25, stem_stride=2, auxiliary=True)


def smallest_size(stem_stride: int, *, auxiliary: bool) -> int:
    """Return the side from which each pooling, auxiliary ones included, has a window."""
    behind_stem = 20 if auxiliary else 8
    return behind_stem * stem_stride - (1 if stem_stride > 1 else 0)


def _auxiliary_classifier(
    in_channels: int, num_classes: int, width: float, conv: NewConv
) -> nn.Sequential:
    """Build averages over 5 x 5, a 1 x 1 convolution and two linear layers (section 5)."""
    channels, hidden = _scaled(AUXILIARY_CHANNELS, width), _scaled(AUXILIARY_HIDDEN, width)
    return nn.Sequential(
        nn.AvgPool2d(5, stride=3),
        conv(in_channels, channels, 1),
        nn.AdaptiveAvgPool2d(4),  # what 224 pixels have by now; lets other sizes in
        nn.Flatten(),
        nn.Linear(channels * 4 * 4, hidden),
        nn.ReLU(),
        nn.Dropout(AUXILIARY_DROPOUT),
        nn.Linear(hidden, num_classes),
    )


def _scaled(channels: int, width: float) -> int:
    """Round to multiples of four: the narrowest layer has 16 channels, eight is too coarse."""
    return round_channels(channels * width, 4)


def draw_he_fan_in(model: nn.Module) -> None:
    """Draw He's normal weights by fan in: by fan out, reductions to few channels amplify."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


register("googlenet", GoogLeNet, "classify")
register("googlenet_bn", GoogLeNet, "classify", batch_norm=True)
register("googlenet_slim", GoogLeNet, "classify", batch_norm=True, slim=True)
