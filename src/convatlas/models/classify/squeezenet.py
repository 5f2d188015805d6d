"""SqueezeNet: few channels before each 3 x 3 convolution, so that it has few weights.

Source:  Iandola et al., 2016, arXiv:1602.07360, table 1 and figure 2; version 1.1 from the
         authors' repository.
Claims:  claims/squeezenet.toml
Differs: starting weights are He's uniform ones (zero bias, 0.01 in the last layer), where the
         released solver draws Xavier's, half their variance.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_image, check_option, round_channels
from convatlas.errors import UsageError
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register

FIRES = (  # table 1, fire2 to fire9: squeeze, each half of expand
    (16, 64),
    (16, 64),
    (32, 128),
    (32, 128),
    (48, 192),
    (48, 192),
    (64, 256),
    (64, 256),
)
FORMS = {  # version 1.1?: stem channels, stem kernel, fires before which the maps are halved
    False: (96, 7, (2, 5, 9)),
    True: (64, 3, (2, 4, 6)),
}


class Fire(nn.Module):
    """Squeeze to few channels, then expand by 1 x 1 and 3 x 3 side by side.

    Args:
        bypass: what is added to the output: a module that reads the input, or nothing.

    Shape: (n, in_channels, h, w) -> (n, 2 * expand, h, w)
    """

    def __init__(
        self, in_channels: int, squeeze: int, expand: int, bypass: nn.Module | None = None
    ):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.bypass = bypass

    def forward(self, x: Tensor) -> Tensor:
        narrow = torch.relu(self.squeeze(x))
        y = torch.relu(torch.cat([self.expand1x1(narrow), self.expand3x3(narrow)], dim=1))
        return y if self.bypass is None else y + self.bypass(x)


class SqueezeNet(nn.Module):
    """Image classifier without normalisation.

    Args:
        width: multiplies every channel count.
        in_channels: channels of the image.
        num_classes: length of the output.
        dropout: share of the last features zeroed in training.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution, 1 also
            its stride, for images under 64 pixels.
        v1_1: the later form, smaller stem and earlier pooling, 2.4 times cheaper.
        simple_bypass: add the input where a fire keeps its channels (fire3, 5, 7, 9).
        complex_bypass: the same, and a 1 x 1 convolution of the input around the other fires.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 21
        pixels as published, 17 in version 1.1, fewer with a smaller stem_stride.

    Raises:
        UsageError: both bypasses at once: the complex one holds the simple one.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.5,
        stem_stride: int = 4,
        v1_1: bool = False,
        simple_bypass: bool = False,
        complex_bypass: bool = False,
    ):
        super().__init__()
        check_option("SqueezeNet", "stem_stride", stem_stride, (4, 2, 1))
        if simple_bypass and complex_bypass:
            raise UsageError("SqueezeNet: choose simple_bypass or complex_bypass, got both")
        self.in_channels = in_channels
        stem, kernel, halved = FORMS[v1_1]
        stride = 1 if stem_stride == 1 else 2
        if stem_stride < 4:
            halved = halved[1:]
        # Nothing is padded but the 3 x 3 of the fires: each pooling needs two pixels for one.
        self.min_size = kernel + stride * (2 ** len(halved) - 1)
        channels = _scaled(stem, width)
        stages: list[list[nn.Module]] = [
            [nn.Conv2d(in_channels, channels, kernel, stride=stride), nn.ReLU()]
        ]
        for number, (squeeze, expand) in enumerate(FIRES, start=2):
            if number in halved:
                stages.append([nn.MaxPool2d(3, stride=2, ceil_mode=True)])
            half = _scaled(expand, width)
            bypass = None
            if number % 2 == 1 and (simple_bypass or complex_bypass):
                bypass = nn.Identity()
            elif complex_bypass:
                bypass = nn.Conv2d(channels, 2 * half, 1)
            stages[-1].append(Fire(channels, _scaled(squeeze, width), half, bypass))
            channels = 2 * half
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        last = nn.Conv2d(channels, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU())
        self.apply(_draw_weights)
        nn.init.normal_(last.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "SqueezeNet", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.stages(x)).mean((2, 3))

    example = image_example(224)
    tiny = tiny_build(48, width=0.25)


def _scaled(channels: int, width: float) -> int:
    """Round to multiples of four: the narrowest layer has 16 channels, eight is too coarse."""
    return round_channels(channels * width, 4)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


register("squeezenet", SqueezeNet, "classify")
register("squeezenet_simple_bypass", SqueezeNet, "classify", simple_bypass=True)
register("squeezenet_complex_bypass", SqueezeNet, "classify", complex_bypass=True)
register("squeezenet1_1", SqueezeNet, "classify", v1_1=True)
