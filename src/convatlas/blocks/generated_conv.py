"""Convolutions without kernels of their own: one generator makes them all from embeddings.

In training the kernels are made anew in each step, once for all examples. In evaluation without
gradients they are kept until a weight changes, and `ordinary_kernels` puts them in place for good.

Source: Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, section 3.1.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.ops.generated_kernel import basic_kernels, tile_counts, tile_kernels

Key = tuple[tuple[int, int, torch.dtype], ...]


class KernelGenerator(nn.Module):
    """Two linear layers that turn an embedding into a basic kernel; no layer has its own.

    Args:
        embedding: length of an embedding and of the hidden vectors; the paper takes 64.
        basic: input and output channels of a basic kernel.
        kernel: its side.

    Shape: embeddings (t, embedding) -> (t, basic, basic, kernel, kernel)

    Cost: t * basic * embedding * (embedding + basic * kernel * kernel) multiply-adds.
    """

    def __init__(self, *, embedding: int = 64, basic: int = 16, kernel: int = 3):
        super().__init__()
        self.embedding, self.basic, self.kernel = embedding, basic, kernel
        filters = basic * kernel * kernel
        self.mix = nn.Parameter(torch.empty(basic * embedding, embedding))
        self.mix_bias = nn.Parameter(torch.zeros(basic * embedding))
        self.project = nn.Parameter(torch.empty(filters, embedding))
        self.project_bias = nn.Parameter(torch.zeros(filters))
        # Of an embedding of unit variance: a hidden vector of unit variance, and He's kernel for
        # `basic` output channels; `GeneratedConv` scales its embeddings for more of them.
        nn.init.normal_(self.mix, std=embedding**-0.5)
        nn.init.normal_(self.project, std=math.sqrt(2 / (filters * embedding)))

    def forward(self, embeddings: Tensor) -> Tensor:
        weights = (self.mix, self.mix_bias, self.project, self.project_bias)
        return basic_kernels(embeddings, *weights, side=self.kernel)

    def tiles(self, out_channels: int, in_channels: int) -> int:
        """Return how many basic kernels a kernel is made of."""
        return math.prod(tile_counts(out_channels, in_channels, self.basic, self.basic))


class GeneratedConv(nn.Module):
    """A convolution whose kernel is tiled from the generator's, one embedding for each tile.

    Args:
        generator: of kernels. It must be registered once somewhere in the same network: here it is
            only referred to, so that its weights are stored once.
        stride: pixels from one place of the kernel to the next, as torch's convolutions take it.
        padding: zeros on each side; as many as keep the size where not given.
        dilation: pixels from one weight to the next.
        groups: of channels that do not see each other.
        bias: of the outputs; None for none.

    Shape: (n, in_channels, h, w) -> (n, out_channels, ceil(h / stride), ceil(w / stride))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        generator: KernelGenerator,
        *,
        stride: int | tuple[int, ...] = 1,
        padding: int | str | tuple[int, ...] | None = None,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: Tensor | None = None,
    ):
        super().__init__()
        side = generator.kernel
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, side
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = side // 2 if padding is None else padding
        self.bias = bias
        self._generator = (generator,)
        self._kept: tuple[Key, Tensor] | None = None
        count = generator.tiles(out_channels, in_channels // groups)
        with torch.device(generator.mix.device):
            self.embeddings = nn.Parameter(_spread(count, generator, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        places: tuple[Any, ...] = (self.stride, self.padding, self.dilation, self.groups)
        return F.conv2d(x, self._kernel(), self.bias, *places)

    def kernel(self) -> Tensor:
        """Make the kernel.

        Shape: returns (out_channels, in_channels / groups, k, k)
        """
        tiles = self._generator[0](self.embeddings)
        return tile_kernels(tiles, self.out_channels, self.in_channels // self.groups)

    def ordinary(self) -> nn.Conv2d:
        """Return the convolution with this kernel as its own weights."""
        with torch.device("meta"):
            conv = nn.Conv2d(
                self.in_channels,
                self.out_channels,
                self.kernel_size,
                self.stride,  # pyright: ignore[reportArgumentType]  one number or two
                self.padding,  # pyright: ignore[reportArgumentType]
                self.dilation,  # pyright: ignore[reportArgumentType]
                self.groups,
                bias=False,
            )
        conv.weight = nn.Parameter(self.kernel().detach().clone())
        conv.bias = self.bias
        return conv.train(self.training)

    def train(self, mode: bool = True) -> "GeneratedConv":
        self._kept = None
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "GeneratedConv":
        self._kept = None
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}

    def _kernel(self) -> Tensor:
        """Return the kernel, that of the last call where it is still the same."""
        weights = [self.embeddings, *self._generator[0].parameters()]
        if not self._may_keep(weights):
            return self.kernel()
        key = tuple((w._version, w.data_ptr(), w.dtype) for w in weights)
        if self._kept is None or self._kept[0] != key:
            self._kept = (key, self.kernel())
        return self._kept[1]

    def _may_keep(self, weights: list[Any]) -> bool:
        """Say whether nothing traces, counts, learns or replaces the weights in this call."""
        if self.training or torch.is_grad_enabled():
            return False
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
            return False
        return all(type(w) is nn.Parameter and not (w.is_meta or w.is_inference()) for w in weights)


def _spread(count: int, generator: KernelGenerator, out_channels: int) -> Tensor:
    """Draw embeddings of one length, with which the kernel has He's variance 2 / fan_out."""
    drawn = nn.init.normal_(torch.empty(count, generator.embedding))
    length = math.sqrt(generator.embedding * generator.basic / out_channels)
    return drawn.mul_(length / drawn.norm(dim=1, keepdim=True))


def generate_kernels(network: nn.Module, generator: KernelGenerator, *, least: int = 1) -> int:
    """Let one generator make kernels of a network, in place; return of how many convolutions.

    Those are plain convolutions of the generator's side, with zeros as borders.

    Args:
        generator: which the caller registers in the network.
        least: channels that a filter must read, and a layer make.
    """
    changed = 0
    for name, layer in list(network.named_modules()):
        if type(layer) is not nn.Conv2d or layer.padding_mode != "zeros":
            continue
        reads = layer.in_channels // layer.groups
        if layer.kernel_size != (generator.kernel,) * 2 or min(reads, layer.out_channels) < least:
            continue
        generated = GeneratedConv(
            layer.in_channels,
            layer.out_channels,
            generator,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=layer.bias,
        )
        network.set_submodule(name, generated)
        changed += 1
    return changed


def ordinary_kernels(network: nn.Module) -> int:
    """Put generated kernels in place for good, in place; return of how many convolutions.

    What made them is taken out. The network answers as before and can no longer train its
    embeddings.
    """
    found = [(n, m) for n, m in network.named_modules() if isinstance(m, GeneratedConv)]
    for name, layer in found:
        network.set_submodule(name, layer.ordinary())
    for name, module in list(network.named_modules()):
        if isinstance(module, KernelGenerator) and name:
            parent, _, own = name.rpartition(".")
            delattr(network.get_submodule(parent), own)
    return len(found)
