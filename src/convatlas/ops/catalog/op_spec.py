"""One operator with all its numbers chosen, and what every kind needs to choose them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from convatlas.errors import UsageError
from convatlas.ops.arithmetic import output_size
from convatlas.ops.counts import Count

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class OpSpec:
    """One operator with all its numbers chosen, not built yet.

    Args:
        input: size of one input, channels first.
        output: size of one output, channels first.
        build: makes the module with random weights.
        count: weights and multiply-adds, by arithmetic alone.
        ordinary: those of the ordinary convolution of the same shape; on a graph, of a map from
            all vertices and channels to all others, for there is no window.
    """

    input: tuple[int, ...]
    output: tuple[int, ...]
    build: "Callable[[], nn.Module]"
    count: Count
    ordinary: Count

    @property
    def params_ratio(self) -> float:
        """Weights over those of the ordinary convolution."""
        return self.count.params / self.ordinary.params

    @property
    def macs_ratio(self) -> float:
        """Multiply-adds over those of the ordinary convolution."""
        return self.count.macs / self.ordinary.macs


def compared_with(spec: OpSpec, ordinary: Count) -> OpSpec:
    """Return the same spec with another ordinary convolution to compare with."""
    return replace(spec, ordinary=ordinary)


def cube(size: int, dims: int) -> tuple[int, ...]:
    """Return one size for every axis.

    Raises:
        UsageError: not 1 to 3 axes, or a size below 1.
    """
    if not 1 <= dims <= 3 or size < 1:
        raise UsageError(f"kind: dims must be 1 to 3, size 1 or more; got {dims} and {size}")
    return (size,) * dims


def number_or_rule(padding: str) -> int | str:
    """Return `2` as a number; a rule, such as `same`, as it is."""
    return int(padding) if padding.isdecimal() else padding


def output_sizes(
    size: int, kernel: int, dims: int, stride: int, padding: str, dilation: int
) -> tuple[int, ...]:
    """Return the output's size on every axis.

    Raises:
        UsageError: the kernel does not fit.
    """
    sides = number_or_rule(padding)
    side = output_size(size, kernel, stride=stride, padding=sides, dilation=dilation)
    return cube(side, dims)
