"""Which inputs feed which outputs of an operator, seen in its derivatives.

An output depends on an input where the derivative is not zero, so what is found here is what the
operator does, not what its description says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

NOTHING = 1e-9  # of the largest derivative: less is rounding


@dataclass(frozen=True)
class Connectivity:
    """What depends on what.

    Args:
        input: size of the input without its channels.
        output: size of the output without its channels.
        places: (output positions, input positions), true where some channel is read.
        channels: (output channels, input channels), true where some position is read.
        own: the same for the output's own position alone; None where that is no different, or
            where input and output differ in size.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    places: Tensor
    channels: Tensor
    own: Tensor | None

    def reads(self) -> Tensor:
        """Return what the middle output reads, as a grid of the input."""
        return self.places[_middle(self.output)].view(self.input)

    def feeds(self) -> Tensor:
        """Return what the middle input feeds, as a grid of the output."""
        return self.places[:, _middle(self.input)].view(self.output)


def trace_connectivity(module: nn.Module, input: tuple[int, ...]) -> Connectivity:
    """Take all derivatives of the module at a random input.

    Args:
        module: from (n, c, i…) to (n, d, o…); its weights are moved to float64.
        input: size of one input, channels first; outputs times inputs numbers are held.
    """
    return _connectivity(module.double(), _random(input))


def trace_steps(module: nn.Module, input: tuple[int, ...]) -> list[Connectivity]:
    """Return the connectivity of each convolution that runs, in order; nothing for only one.

    Args:
        module, input: as in `trace_connectivity`.
    """
    watch = _Convolutions()
    with torch.no_grad(), watch:
        module.double()(_random(input)[None])
    steps = [_connectivity(step, _random(tuple(size))) for step, size in watch.calls]
    return steps if len(steps) > 1 else []


class _Convolutions(TorchDispatchMode):
    """Keeps every convolution that runs, with its weights, ready to run again."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[[Tensor], Tensor], torch.Size]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            x, *settings = args
            self.calls.append((partial(_again, func, settings), x.shape[1:]))
        return func(*args, **(kwargs or {}))


def _again(func: Any, settings: list[Any], x: Tensor) -> Tensor:
    return func(x, *settings)


def _random(input: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(input, generator=generator, dtype=torch.float64)


def _connectivity(operator: Callable[[Tensor], Tensor], x: Tensor) -> Connectivity:
    def answer(one: Tensor) -> Tensor:
        return operator(one[None])[0]

    input, output = tuple(x.shape), tuple(answer(x).shape)
    slopes = torch.autograd.functional.jacobian(answer, x, vectorize=True)
    assert isinstance(slopes, Tensor)
    depends = slopes.abs().reshape(output[0], -1, input[0], x[0].numel())
    depends = depends > NOTHING * depends.max()
    places, channels = depends.any(2).any(0), depends.any(3).any(1)
    return Connectivity(
        input[1:], output[1:], places, channels, _own(depends, channels, input, output)
    )


def _own(
    depends: Tensor, channels: Tensor, input: tuple[int, ...], output: tuple[int, ...]
) -> Tensor | None:
    if input[1:] != output[1:]:
        return None
    middle = _middle(output[1:])
    own = depends[:, middle, :, middle]
    return None if torch.equal(own, channels) else own


def _middle(size: tuple[int, ...]) -> int:
    """Return the index of the middle position, counted row by row."""
    place = 0
    for side in size:
        place = place * side + side // 2
    return place
