"""Any network of the atlas with its kernels made from embeddings instead of stored.

Source: Ha, Dai, Le, "HyperNetworks", 2016, arXiv:1609.09106, sections 3.1 and 4.2.
"""

from typing import NamedTuple

import torch
from torch import nn

from convatlas.blocks import GeneratedConv, KernelGenerator, generate_kernels
from convatlas.errors import UsageError

GENERATOR = "kernel_generator"  # under which a network keeps it


class Saved(NamedTuple):
    """What generated kernels save.

    Args:
        convolutions: whose kernels are generated.
        params_before: of the network as it was.
        params_after: with embeddings and generator in place of the kernels.
    """

    convolutions: int
    params_before: int
    params_after: int


def hyper_weights(
    model: nn.Module, *, embedding: int = 64, basic: int = 16, kernel: int = 3
) -> Saved:
    """Let a generator make the kernels of a network, in place, with fresh embeddings.

    The paper does so for residual networks; any network with plain convolutions will do. Kernels
    that are narrower than a basic one, such as that of the first layer, stay as they are.
    `convatlas.blocks.ordinary_kernels` turns the trained network into one with
    ordinary convolutions.

    Args:
        embedding: length of an embedding, of which each basic kernel has one.
        basic: input and output channels of a basic kernel, of which larger ones are tiled.
        kernel: side of the kernels that are generated.

    Raises:
        UsageError: a size below 1, no such convolution, or kernels that are generated already.
    """
    name = type(model).__name__
    for option, value in (("embedding", embedding), ("basic", basic), ("kernel", kernel)):
        if type(value) is not int or value < 1:
            raise UsageError(
                f"hyper_weights: {option} must be a whole number from 1 up, got {value!r}"
            )
    if any(isinstance(module, GeneratedConv) for module in model.modules()):
        raise UsageError(f"hyper_weights: kernels of {name} are generated already")
    before = _params(model)
    like = next(model.parameters(), torch.empty(0))
    with torch.device(like.device):
        generator = KernelGenerator(embedding=embedding, basic=basic, kernel=kernel)
    changed = generate_kernels(model, generator, least=basic)
    if not changed:
        raise UsageError(
            f"hyper_weights: {name} has no convolution of {kernel} x {kernel} with {basic} "
            "channels or more on both sides"
        )
    model.add_module(GENERATOR, generator)
    model.to(like.dtype)
    model.train(model.training)
    return Saved(changed, before, _params(model))


def _params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
