"""What the operator tests share: small random inputs and the slow, plain convolution."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import pytest
import torch
from torch import Tensor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are done sooner by one thread."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    """Random numbers in float64, the same in every run, with gradients."""
    generator = torch.Generator().manual_seed(0)

    def run(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    return run


@pytest.fixture
def slow_conv() -> Callable[..., Tensor]:
    """Convolution one number at a time, padding by the rule of each position."""
    return _slow_conv


def _slow_conv(
    x: Tensor,
    weight: Tensor,
    *,
    stride: Sequence[int],
    sides: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
    mode: str = "zeros",
    value: float = 0.0,
) -> Tensor:
    sizes, kernel = x.shape[2:], weight.shape[2:]
    outs = [
        (i + sum(pair) - d * (k - 1) - 1) // s + 1
        for i, pair, d, k, s in zip(sizes, sides, dilation, kernel, stride, strict=True)
    ]
    y = x.new_zeros(x.shape[0], weight.shape[0], *outs)
    own_in, own_out = x.shape[1] // groups, weight.shape[0] // groups
    for m, place, c in product(range(weight.shape[0]), product(*map(range, outs)), range(own_in)):
        channel = m // own_out * own_in + c
        for tap in product(*map(range, kernel)):
            at = [
                o * s + t * d - pair[0]
                for o, s, t, d, pair in zip(place, stride, tap, dilation, sides, strict=True)
            ]
            seen = _read(x[:, channel], at, mode, value)
            y[(slice(None), m, *place)] += weight[(m, c, *tap)] * seen
    return y


def _read(x: Tensor, at: Sequence[int], mode: str, value: float) -> Tensor:
    """The values at a position, also outside."""
    inside = []
    for j, size in zip(at, x.shape[1:], strict=True):
        if 0 <= j < size:
            inside.append(j)
        elif mode in ("zeros", "constant"):
            return x.new_full((len(x),), value)
        elif mode == "reflect":
            inside.append(-j if j < 0 else 2 * (size - 1) - j)
        elif mode == "replicate":
            inside.append(0 if j < 0 else size - 1)
        else:
            inside.append(j % size)
    return x[(slice(None), *inside)]
