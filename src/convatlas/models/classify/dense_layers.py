"""The parts of the dense networks: layers, blocks and transitions, and the stages made of them.

Source:  Huang et al., CVPR 2017, arXiv:1608.06993, sections 3 and 4; the memory-efficient form from
         Pleiss et al., 2017, arXiv:1707.06990.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convatlas.blocks import ConvNormAct, check_option

BOTTLENECK = 4  # the 1 x 1 of a layer hands four times the growth to the 3 x 3
COMPRESSION = 0.5


class NormActConv(nn.Sequential):
    """Batch norm, ReLU and a convolution without bias, padded to keep the size.

    Shape: (n, in_channels, h, w) -> (n, out_channels, h, w)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        super().__init__(nn.BatchNorm2d(in_channels), nn.ReLU(), conv)


class DenseLayer(nn.Module):
    """Concatenate all maps so far and make `growth` new ones.

    Args:
        bottleneck: narrow by a 1 x 1 convolution before the 3 x 3 one.
        dropout: share of the values zeroed after each convolution in training.
        memory_efficient: forget the concatenation and its norm after the forward pass in training,
            and make them anew in the backward pass. Outputs and gradients are the same, and the
            norm takes its statistics once.

    Shape: list of (n, c_i, h, w), in_channels together -> (n, growth, h, w)
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        *,
        bottleneck: bool = True,
        dropout: float = 0.0,
        memory_efficient: bool = False,
    ):
        super().__init__()
        self.memory_efficient = memory_efficient
        self.dropout = nn.Dropout(dropout)
        if bottleneck:
            self.first = NormActConv(in_channels, BOTTLENECK * growth, 1)
            self.second = NormActConv(BOTTLENECK * growth, growth, 3)
        else:
            self.first = NormActConv(in_channels, growth, 3)
            self.second = None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        recompute = self.memory_efficient and self.training and torch.is_grad_enabled()
        y = self.dropout(self._first_recomputed(maps) if recompute else self._first(*maps))
        return y if self.second is None else self.dropout(self.second(y))

    def _first(self, *maps: Tensor) -> Tensor:
        return self.first(torch.cat(maps, dim=1))

    def _first_recomputed(self, maps: Sequence[Tensor]) -> Tensor:
        # The second run stops before the convolution, whose output nothing in the backward needs.
        return checkpoint(
            self._first,
            *maps,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), _statistics_set_aside(self.first)),
        )


@contextmanager
def _statistics_set_aside(module: nn.Module) -> Iterator[None]:
    """Let norms update copies of their running statistics, so that a second run leaves no trace."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [(norm, name, b) for norm in norms for name, b in norm.named_buffers()]
    for norm, name, buffer in kept:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in kept:
            setattr(norm, name, buffer)


class DenseBlock(nn.Module):
    """Layers of which each reads the input and all layers before it; everything is passed on.

    Shape: (n, in_channels, h, w) -> (n, in_channels + layers * growth, h, w)
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        layers: int,
        *,
        bottleneck: bool = True,
        dropout: float = 0.0,
        memory_efficient: bool = False,
    ):
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(
                in_channels + i * growth,
                growth,
                bottleneck=bottleneck,
                dropout=dropout,
                memory_efficient=memory_efficient,
            )
            for i in range(layers)
        )
        self.out_channels = in_channels + layers * growth

    def forward(self, x: Tensor) -> Tensor:
        return with_new_maps(x, self.layers)


def with_new_maps(x: Tensor, layers: Iterable[nn.Module]) -> Tensor:
    """Put the maps of each layer behind the input; a layer reads all that were there before.

    Shape: (n, c, h, w) -> (n, c + what the layers make, h, w)
    """
    maps = [x]
    for layer in layers:
        maps.append(layer(maps))
    return torch.cat(maps, dim=1)


def stem(in_channels: int, channels: int, stem_stride: int, model: str) -> list[list[nn.Module]]:
    """Build a 7 x 7 convolution and pooling by 3 x 3, a list for each resolution."""
    check_option(model, "stem_stride", stem_stride, (4, 2, 1))
    if stem_stride == 1:
        return [[ConvNormAct(in_channels, channels, 3)]]
    first: list[nn.Module] = [ConvNormAct(in_channels, channels, 7, stride=2)]
    return [first] if stem_stride == 2 else [first, [nn.MaxPool2d(3, stride=2, padding=1)]]


def transition(in_channels: int, out_channels: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Build what stands between two blocks: a 1 x 1 convolution, then the mean of 2 x 2 pixels.

    Shape: (n, in_channels, h, w) -> (n, out_channels, floor(h / 2), floor(w / 2))
    """
    mix = NormActConv(in_channels, out_channels, 1)
    return nn.Sequential(mix, nn.Dropout(dropout), nn.AvgPool2d(2))


def scaled(channels: int, width: float) -> int:
    """Scale a channel count to the nearest whole number: growths are too small for eights."""
    return max(1, round(channels * width))


def dense_stages(
    stem: Sequence[Sequence[nn.Module]],
    channels: int,
    growth: int,
    layers: Sequence[int],
    new_block: Callable[[int, int, int], nn.Module],
    *,
    compression: float = COMPRESSION,
    dropout: float = 0.0,
) -> tuple[nn.Sequential, int]:
    """Build the stages of a dense network, and return them with the channels that they make.

    Args:
        stem: the layers before the first block, a list for each resolution.
        channels: that leave the stem.
        growth: channels that each layer adds.
        layers: of each block.
        new_block: makes a block from its channels, its number and its layers.
        compression: share of the channels that a transition keeps.
        dropout: of the transitions.
    """
    stages = [list(stage) for stage in stem]
    for index, count in enumerate(layers):
        if index > 0:
            kept = max(1, int(channels * compression))
            stages.append([transition(channels, kept, dropout=dropout)])
            channels = kept
        stages[-1].append(new_block(channels, index, count))
        channels += count * growth
    stages[-1] += [nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*(nn.Sequential(*stage) for stage in stages)), channels
