"""Squeeze and excitation: a small network looks at every channel's mean and scales the channels.

Source: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", 2018, arXiv:1709.01507, equations 2 to 4.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError
from convatlas.ops.tracing import is_traced

Activation = Callable[[Tensor], Tensor]


def squeeze_excite(
    x: Tensor,
    reduce: Tensor,
    expand: Tensor,
    reduce_bias: Tensor | None = None,
    expand_bias: Tensor | None = None,
    *,
    act: Activation = torch.relu,
    gate: Activation = torch.sigmoid,
) -> Tensor:
    """Multiply each channel with gate(expand act(reduce mean(x))), one number an image.

    Args:
        act: between the two layers, ReLU in the paper.
        gate: after them, the sigmoid in the paper.

    Shape:
        x        (n, c, i…)
        reduce   (c / r, c)
        expand   (c, c / r)
        returns  (n, c, i…)

    Cost: 2 * c * c / r multiply-adds an image; the scaling itself is not counted.

    Raises:
        UsageError: the weights are not for these channels.
    """
    c = x.shape[1]
    if not is_traced(x) and (reduce.shape[1:] != (c,) or expand.shape != (c, reduce.shape[0])):
        raise UsageError(
            f"squeeze_excite: {c} channels need weights (m, {c}) and ({c}, m), got "
            f"{tuple(reduce.shape)} and {tuple(expand.shape)}"
        )
    hidden = act(F.linear(x.flatten(2).mean(2), reduce, reduce_bias))
    scale = gate(F.linear(hidden, expand, expand_bias))
    ones = (1, 1) if is_traced(x) else (1,) * (x.dim() - 2)  # a tracer sees images
    return x * scale.unflatten(1, (-1, *ones))


class SqueezeExcite(nn.Module):
    """`squeeze_excite` with its weights, in two linear layers.

    Args:
        reduction: r, channels over hidden units; 16 in the paper.
        hidden: how many hidden units, for networks that round them; channels // reduction if None.
        bias: the released ImageNet models have it; the paper's count of parameters leaves it out.
        act: as in `squeeze_excite`.
        gate: as in `squeeze_excite`.

    Shape: (n, channels, i…) -> (n, channels, i…)

    Cost: as in `squeeze_excite`.

    Raises:
        UsageError: no hidden unit would be left.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        hidden: int | None = None,
        bias: bool = True,
        act: Activation = torch.relu,
        gate: Activation = torch.sigmoid,
    ):
        super().__init__()
        if hidden is None and not 1 <= reduction <= channels:
            raise UsageError(
                f"SqueezeExcite: reduction must be from 1 to the {channels} channels, "
                f"got {reduction}"
            )
        hidden = channels // reduction if hidden is None else hidden
        self.reduce = nn.Linear(channels, hidden, bias=bias)
        self.expand = nn.Linear(hidden, channels, bias=bias)
        self.act, self.gate = act, gate

    def forward(self, x: Tensor) -> Tensor:
        return squeeze_excite(
            x,
            self.reduce.weight,
            self.expand.weight,
            self.reduce.bias,
            self.expand.bias,
            act=self.act,
            gate=self.gate,
        )
