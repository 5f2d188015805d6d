"""ESResNet: ResNet-50 on a spectrogram that is folded into three bands of frequency.

The lower, middle and upper third of the frequencies are three channels, so that a network made for
images, and its weights, fit sounds. Both channels of a stereo recording go through the same network
and their features are summed. In the attention variant a small branch beside each stage looks at
the stage's input along one axis, frequency or time in turn, and says how much of each output
passes.

Source:  Guzhov, Raue, Hees, Dengel, "ESResNet: Environmental Sound Classification Based on Visual
         Domain Models", ICPR 2020, arXiv:2004.07301; kernels of the attention, stride in the 3 x 3
         and size of the spectrogram from the authors' code.
Claims:  claims/esresnet.toml
"""

from collections.abc import Sequence
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import (
    ConvNormAct,
    check_image,
    draw_he_normal,
    residual_stages,
    resnet_stem,
    round_channels,
)
from convatlas.models.classify.resnet import CHANNELS, EXPAND, REPEATS, Bottleneck
from convatlas.models.example import Size
from convatlas.models.registry import register
from convatlas.ops.tracing import is_traced

DEPTH = 50
SIZE = (341, 394)  # frequencies of a band, frames of 5 s at 44.1 kHz
KERNELS = ((3, 1), (1, 5), (3, 1), (1, 5), (3, 5))  # of the attention: frequency, time


class Attention(nn.Module):
    """Say how much of each value passes, from the input of what made it.

    The input is brought to the size of the output by the largest value, filtered channel by
    channel along one axis, and mixed.

    Shape: (n, in_channels, h, w), (n, out_channels, i, j) -> (n, out_channels, i, j), from 0 to 1
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int]):
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.filter = nn.Conv2d(
            in_channels, in_channels, kernel, padding=padding, groups=in_channels
        )
        self.mix = nn.Conv2d(in_channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.norm(self.mix(self.filter(pool_to(x, y)))).sigmoid()


def pool_to(x: Tensor, y: Tensor) -> Tensor:
    """Bring `x` to the height and width of `y`, the same, half or 1, by the largest value.

    As adaptive pooling, which exporters do not know where the sizes do not divide: half of an odd
    number is windows of three that overlap, of which the first and the last hang over the edge.

    Shape: (n, c, h, w), (n, d, i, j) -> (n, c, i, j)
    """
    if is_traced(x):
        return F.adaptive_max_pool2d(x, [y.size(2), y.size(3)])
    sizes = list(zip(x.shape[2:], y.shape[2:], strict=True))
    if all(before == after for before, after in sizes):
        return x
    if all(after == 1 for _, after in sizes):
        return x.amax((2, 3), keepdim=True)
    odd = [before % 2 for before, _ in sizes]
    return F.max_pool2d(x, [2 + o for o in odd], stride=2, padding=odd)


class ESResNet(nn.Module):
    """Sound classifier of spectrograms in three bands.

    Args:
        attention: with a branch of attention beside each stage and the last pooling.
        stereo: the input has two recordings of three bands each, whose features are summed.
        width: multiplies every channel count.
        in_channels: bands of a spectrogram.
        num_classes: length of the output.
        stem_stride: 4 as published; 2 leaves out the pooling after the first convolution; 1 also
            makes that convolution 3 x 3 without stride, for small spectrograms.

    Shape: (n, in_channels, h, w) -> (n, num_classes) logits, in stereo from
        (n, 2, in_channels, h, w); h frequencies of a band and w frames from 1 up.
    """

    min_size: Final = 1

    def __init__(
        self,
        *,
        attention: bool = False,
        stereo: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 50,
        stem_stride: int = 4,
    ):
        super().__init__()
        self.in_channels, self.stereo = in_channels, stereo
        stem = round_channels(CHANNELS[0] * width)
        outs = [round_channels(channels * width) * EXPAND for channels in CHANNELS]

        def unit(into: int, out: int, stride: int) -> nn.Module:
            return Bottleneck(into, out, inner=out // EXPAND, stride=stride, stride_in_3x3=True)

        self.body = residual_stages(  # the stages of ResNet, under another name: see `maps`
            resnet_stem(in_channels, stem, stem_stride, "ESResNet"),
            stem,
            list(zip(REPEATS[DEPTH], outs, strict=True)),
            unit,
        )
        self.classifier = nn.Linear(outs[-1], num_classes)
        draw_he_normal(self)
        self.attention = new_attention([stem, *outs]) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pooled(x))

    def pooled(self, x: Tensor) -> Tensor:
        """Return the features that the classifier reads, in stereo the sum of both sides.

        Shape: as the input of the network -> (n, features)
        """
        if not self.stereo:
            return self._pooled_mono(x)
        if not is_traced(x) and (x.ndim != 5 or x.shape[1] != 2):
            raise ValueError(
                f"ESResNet: input must be (n, 2, {self.in_channels}, h, w) where stereo=True, got "
                f"{tuple(x.shape)}"
            )
        return self._pooled_mono(x[:, 0]) + self._pooled_mono(x[:, 1])

    def _pooled_mono(self, x: Tensor) -> Tensor:
        check_image(x, "ESResNet", channels=self.in_channels, min_size=self.min_size)
        x = self.maps(x)
        means = x.mean((2, 3))
        if self.attention is None:
            return means
        means = means[:, :, None, None]
        return (means * self.attention[-1](x, means)).flatten(1)

    def maps(self, x: Tensor) -> Tensor:
        """Return the maps of the last stage; of one side only.

        Shape: (n, in_channels, h, w) -> (n, features, about h / 32, about w / 32)
        """
        if self.attention is None:
            return self.body(x)
        stages, branches = list(self.body), list(self.attention)[:-1]
        for stage in stages[: -len(branches)]:
            x = stage(x)
        for stage, attention in zip(stages[-len(branches) :], branches, strict=True):
            layers = list(cast(nn.Sequential, stage))
            if isinstance(layers[0], nn.MaxPool2d | ConvNormAct):  # of the stem
                x = layers.pop(0)(x)
            y = x
            for layer in layers:
                y = layer(y)
            x = y * attention(x, y)
        return x

    def load_image_weights(self, resnet: nn.Module) -> None:
        """Take the weights of a ResNet-50 for images; attention and classifier keep their own.

        Args:
            resnet: `create_model("resnet50", stride_in_3x3=True)`, with public weights or your own.

        Raises:
            RuntimeError: it has another depth, width, stem or number of channels.
        """
        stages = resnet.get_submodule("stages")
        self.body.load_state_dict(stages.state_dict())

    def example(self, batch: int = 1, size: Size | None = None) -> tuple[Tensor]:
        """Return random spectrograms, by default as large as those of 5 s at 44.1 kHz.

        Args:
            batch: number of clips.
            size: frequencies of a band and frames, or one number for both.
        """
        height, width = (size, size) if isinstance(size, int) else size or SIZE
        sides = (2,) if self.stereo else ()
        return (torch.rand(batch, *sides, self.in_channels, height, width),)

    @classmethod
    def tiny(
        cls, *, in_channels: int = 3, num_classes: int = 5
    ) -> "tuple[ESResNet, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(attention=True, width=0.125, in_channels=in_channels, num_classes=num_classes)
        return model, model.example(batch=2, size=(33, 50))


def new_attention(channels: Sequence[int]) -> nn.ModuleList:
    """Build a branch beside each stage and one beside the pooling, which keeps the channels.

    Args:
        channels: before the first stage and behind each.
    """
    pairs = zip(channels, [*channels[1:], channels[-1]], KERNELS, strict=True)
    return nn.ModuleList(Attention(into, out, kernel) for into, out, kernel in pairs)


register("esresnet", ESResNet, "audio")
register("esresnet_attention", ESResNet, "audio", attention=True)
