"""ConvNeXt: a ResNet remade step by step with what vision transformers do well.

A block filters each channel alone over 7 x 7 pixels, then mixes the channels of each pixel in a
layer four times as wide. One norm and one activation in a block are enough; a trained scale near
zero keeps each block close to the identity at first, so that deep networks train.

Source:  Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", CVPR 2022,
         arXiv:2201.03545, figure 4; channels, blocks, drop path and weights at the start from the
         authors' code.
Claims:  claims/convnext.toml
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.blocks import DropConnect, check_image, check_option
from convatlas.models.example import image_example, tiny_build
from convatlas.models.registry import register
from convatlas.ops.drop_path import linear_survival

CHANNELS = (96, 192, 384, 768)  # of the four stages of ConvNeXt-T
EXPAND = 4
EPS = 1e-6

FORMS = {  # blocks of each stage, width, drop path; of XL that of training on ImageNet-22K
    "tiny": ((3, 3, 9, 3), 1.0, 0.1),
    "small": ((3, 3, 27, 3), 1.0, 0.4),
    "base": ((3, 3, 27, 3), 4 / 3, 0.5),
    "large": ((3, 3, 27, 3), 2.0, 0.5),
    "xlarge": ((3, 3, 27, 3), 8 / 3, 0.2),
}


class PixelNorm(nn.LayerNorm):
    """Normalise the channels of each pixel by themselves.

    Shape: (n, channels, h, w) -> (n, channels, h, w)
    """

    def __init__(self, channels: int):
        super().__init__(channels, eps=EPS)

    def forward(self, input: Tensor) -> Tensor:
        pixels = input.permute(0, 2, 3, 1)
        y = F.layer_norm(pixels, self.normalized_shape, self.weight, self.bias, self.eps)
        return y.permute(0, 3, 1, 2)


class Block(nn.Module):
    """Filter each channel, norm, widen, GELU, narrow, scale; add the input (figure 4).

    Args:
        layer_scale: what `gamma`, one number a channel, begins with.
        survival: chance that the block is not skipped in training.

    Shape: (n, channels, h, w) -> (n, channels, h, w)
    """

    def __init__(self, channels: int, *, layer_scale: float = 1e-6, survival: float = 1.0):
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.widen = nn.Linear(channels, EXPAND * channels)
        self.act = nn.GELU()
        self.narrow = nn.Linear(EXPAND * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), layer_scale))
        self.drop = DropConnect(survival)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(self.filter(x).permute(0, 2, 3, 1))
        y = self.gamma * self.narrow(self.act(self.widen(pixels)))
        return x + self.drop(y.permute(0, 3, 1, 2))


class ConvNeXt(nn.Module):
    """Image classifier.

    Args:
        repeats: blocks of each of the four stages.
        width: multiplies every channel count; 1 gives ConvNeXt-T and ConvNeXt-S.
        in_channels: channels of the image.
        num_classes: length of the output.
        drop_path: chance that the last block is skipped in training; it grows from 0 at the first.
        layer_scale: what the scale of each block begins with.
        stem_stride: side of the squares that the first layer reads, 4 as published; 2 or 1 keep
            more resolution, for images under 128 or 64 pixels.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits; h and w from `min_size` up: 32 pixels
        as published, eight times `stem_stride`.
    """

    def __init__(
        self,
        *,
        repeats: tuple[int, int, int, int] = (3, 3, 9, 3),
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        drop_path: float = 0.1,
        layer_scale: float = 1e-6,
        stem_stride: int = 4,
    ):
        super().__init__()
        check_option("ConvNeXt", "stem_stride", stem_stride, (4, 2, 1))
        self.in_channels, self.min_size = in_channels, 8 * stem_stride
        widths = [max(1, round(channels * width)) for channels in CHANNELS]
        survival = [
            linear_survival(block, sum(repeats) - 1, last=1 - drop_path)
            for block in range(sum(repeats))
        ]
        self.stages = nn.Sequential()
        into = in_channels
        for stage, (channels, blocks) in enumerate(zip(widths, repeats, strict=True)):
            squares = _squares(into, channels, 2 if stage else stem_stride, stem=not stage)
            chances, survival = survival[:blocks], survival[blocks:]
            parts = [Block(channels, layer_scale=layer_scale, survival=s) for s in chances]
            self.stages.append(nn.Sequential(squares, *parts))
            into = channels
        self.norm = nn.LayerNorm(into, eps=EPS)
        self.classifier = nn.Linear(into, num_classes)
        self.apply(_draw_weights)

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, "ConvNeXt", channels=self.in_channels, min_size=self.min_size)
        return self.classifier(self.norm(self.stages(x).mean((2, 3))))

    example = image_example(224)
    tiny = tiny_build(64, repeats=(1, 1, 2, 1), width=0.25, drop_path=0.0)


def _squares(in_channels: int, channels: int, side: int, *, stem: bool) -> nn.Sequential:
    """Read squares that do not overlap; the norm is behind them in the stem, elsewhere before."""
    conv = nn.Conv2d(in_channels, channels, side, stride=side)
    return nn.Sequential(*([conv, PixelNorm(channels)] if stem else [PixelNorm(in_channels), conv]))


def _draw_weights(module: nn.Module) -> None:
    """Draw normal weights of deviation 0.02, cut off at -2 and 2, and set biases to zero."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        assert module.bias is not None
        nn.init.zeros_(module.bias)


for _form, (_repeats, _width, _drop_path) in FORMS.items():
    register(
        f"convnext_{_form}",
        ConvNeXt,
        "classify",
        repeats=_repeats,
        width=_width,
        drop_path=_drop_path,
    )
