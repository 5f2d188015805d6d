"""SwishNet: causal gated convolutions along time, small enough for a microcontroller.

The coefficients of a frame are channels, and time is the only axis of every convolution. A layer's
filters come in halves: the sigmoid of one half says how much of the tanh of the other half passes.
The last four layers, each at another rate, are averaged over time and read together.

Source:  Hussain, Haque, "SwishNet: A Fast Convolutional Neural Network for Speech, Music and Noise
         Classification and Segmentation", 2018, arXiv:1812.00149, figures 1 and 2.
Claims:  claims/swishnet.toml
Differs: the figures do not say how residuals pass a stride, nor how paths of unequal length are
         joined: here a residual keeps the frames on which the strided windows end, and each path
         is averaged over time.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.blocks import check_frames, check_option
from convatlas.models.registry import register
from convatlas.ops.gated import gtu

MAPS = 8  # that a layer hands on at width 1; it has two filters for each
KERNEL, SEPARABLE_KERNEL = 3, 6
STRIDES = (3, 2, 2, 2, 2)  # of the last five layers
JOINED = 4  # layers, from the last, that the classifier reads
FRAMES = 98  # of one second: 25 ms each, every 10 ms


class CausalGate(nn.Module):
    """Convolve over the present and past frames, then gate: twice the filters, half are handed on.

    Args:
        separable: filter each channel alone, then mix the channels.
        stride: keeps each stride-th output, the first one first.
        dilation: frames from one value of the window to the next.

    Shape: (n, in_channels, t) -> (n, out_channels, ceil(t / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        separable: bool = False,
        stride: int = 1,
        dilation: int = 1,
    ):
        super().__init__()
        self.past = (kernel - 1) * dilation
        filters = 2 * out_channels
        if separable:
            depthwise = nn.Conv1d(in_channels, in_channels, kernel, groups=in_channels, bias=False)
            self.conv = nn.Sequential(depthwise, nn.Conv1d(in_channels, filters, 1))
        else:
            self.conv = nn.Conv1d(in_channels, filters, kernel, stride=stride, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return gtu(self.conv(F.pad(x, (self.past, 0))))


class Parallel(nn.Module):
    """A gated convolution and a separable one beside it, concatenated.

    Shape: (n, in_channels, t) -> (n, 2 * maps, t)
    """

    def __init__(self, in_channels: int, maps: int):
        super().__init__()
        self.conv = CausalGate(in_channels, maps, KERNEL)
        self.separable = CausalGate(in_channels, maps, SEPARABLE_KERNEL, separable=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.conv(x), self.separable(x)], dim=1)


class SwishNet(nn.Module):
    """Sound classifier of frames of cepstral coefficients.

    Args:
        width: multiplies every channel count; 1 gives SwishNet-slim, 2 SwishNet-wide.
        in_channels: coefficients of a frame.
        num_classes: length of the output.
        downsample: `stride` keeps fewer frames from layer to layer, as published; `dilation` keeps
            all frames and spreads the windows instead, so that each layer has an output for every
            frame, which costs more.
        dropout: share of the values zeroed between layers in training.

    Shape: (n, in_channels, t) -> (n, num_classes) logits; t from 1 frame up.
    """

    min_frames: Final = 1

    def __init__(
        self,
        *,
        width: float = 1.0,
        in_channels: int = 20,
        num_classes: int = 3,
        downsample: str = "stride",
        dropout: float = 0.0,
    ):
        super().__init__()
        check_option("SwishNet", "downsample", downsample, ("stride", "dilation"))
        self.in_channels = in_channels
        maps, half, last = (max(1, round(c * width)) for c in (MAPS, MAPS / 2, 2 * MAPS))
        self.strides = STRIDES if downsample == "stride" else (1,) * len(STRIDES)
        self.first = Parallel(in_channels, maps)
        self.second = Parallel(2 * maps, half)
        self.third = Parallel(2 * half, half)
        self.dropout = nn.Dropout(dropout)
        self.layers, channels, dilation = nn.ModuleList(), 2 * half, 1
        for index, stride in enumerate(STRIDES):
            # The residual of a layer needs as many channels behind it as before.
            out = last if index == len(STRIDES) - 1 else 2 * half
            gate = CausalGate(channels, out, KERNEL, stride=self.strides[index], dilation=dilation)
            self.layers.append(gate)
            channels = out
            dilation *= stride if downsample == "dilation" else 1
        self.classifier = nn.Linear((JOINED - 1) * 2 * half + last, num_classes)

    def paths(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the four layers that the classifier reads, before the averages.

        Shape: (n, in_channels, t) -> four of (n, c, u), u falling with the strides
        """
        check_frames(x, "SwishNet", channels=self.in_channels, min_frames=self.min_frames)
        x = self.dropout(self.second(self.first(x)))
        x = x + self.third(x)
        outputs = []
        for index, (layer, stride) in enumerate(zip(self.layers, self.strides, strict=True)):
            y = layer(self.dropout(x))
            x = y + x[:, :, ::stride] if index < len(self.layers) - 2 else y
            outputs.append(x)
        return outputs[-JOINED:]

    def forward(self, x: Tensor) -> Tensor:
        means = [path.mean(2) for path in self.paths(x)]
        return self.classifier(torch.cat(means, dim=1))

    def example(self, batch: int = 1, frames: int = FRAMES) -> tuple[Tensor]:
        """Return random frames, by default as many as a clip of one second has.

        Args:
            batch: number of clips.
            frames: of each clip.
        """
        return (torch.rand(batch, self.in_channels, frames),)

    @classmethod
    def tiny(
        cls, *, in_channels: int = 20, num_classes: int = 5
    ) -> "tuple[SwishNet, tuple[Tensor]]":
        """Build the smallest honest network and a batch of two: for tests and first steps."""
        model = cls(width=0.5, in_channels=in_channels, num_classes=num_classes)
        return model, model.example(batch=2, frames=50)


register("swishnet_slim", SwishNet, "audio", width=1.0)
register("swishnet_wide", SwishNet, "audio", width=2.0)
