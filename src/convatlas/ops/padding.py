"""Padding: what a convolution reads outside its input.

`zeros` and `constant` put a value there, `reflect` mirrors without repeating the edge,
`replicate` repeats the edge, `circular` goes round.

Source: the padding modes of torch.nn.functional.pad; the fact sheet of convolution kinds,
    section 3, gives their rules by position.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError

MODES = ("zeros", "constant", "reflect", "replicate", "circular")


def pad(
    x: Tensor,
    sides: Sequence[tuple[int, int]],
    *,
    mode: str = "zeros",
    value: float = 0.0,
) -> Tensor:
    """Add positions before and after the last axes of x.

    Args:
        sides: (before, after) of each padded axis, in the order of the axes.
        mode: zeros, constant, reflect, replicate or circular.
        value: what `constant` puts there.

    Shape: (n, c, i…) -> (n, c, before + i + after…)

    Cost: no multiply-adds.

    Raises:
        UsageError: an unknown mode, a value without `constant`, or more positions than the mode
            can take from the input: reflect i - 1, circular i.
    """
    if mode not in MODES:
        raise UsageError(f"pad: mode must be one of {', '.join(MODES)}, got '{mode}'")
    if value and mode != "constant":
        raise UsageError(f"pad: a value needs mode 'constant', got {value} with '{mode}'")
    if len(sides) > x.dim() - 2:
        raise UsageError(f"pad: {len(sides)} axes to pad, but the input has shape {tuple(x.shape)}")
    _check_reach(x.shape[x.dim() - len(sides) :], sides, mode)
    if not any(map(any, sides)):
        return x
    flat = [side for pair in reversed(sides) for side in pair]  # torch begins at the last axis
    if mode in ("zeros", "constant"):
        return F.pad(x, flat, value=value)
    return F.pad(x, flat, mode=mode)


def _check_reach(sizes: Sequence[int], sides: Sequence[tuple[int, int]], mode: str) -> None:
    for size, pair in zip(sizes, sides, strict=True):
        limit = {"reflect": size - 1, "circular": size}.get(mode, max(pair))
        if max(pair) > limit or min(pair) < 0:
            raise UsageError(
                f"pad: mode '{mode}' takes 0 to {limit} positions a side from size {size}, "
                f"got {pair[0]} and {pair[1]}"
            )
