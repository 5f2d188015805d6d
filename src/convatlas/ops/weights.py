"""New weights for the thin modules of this room, drawn as torch draws its convolutions'."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from convatlas.ops.arithmetic import each_axis


def new_filters(
    out_channels: int, channels_read: int, kernel: int | Sequence[int], dims: int
) -> nn.Parameter:
    """Draw filters of (out_channels, channels_read, *kernel), uniform within 1 / sqrt(fan-in)."""
    weight = torch.empty(out_channels, channels_read, *each_axis(kernel, dims, "kernel"))
    # sqrt(5) makes He's uniform bound 1 / sqrt(fan-in).
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return nn.Parameter(weight)


def new_bias(out_channels: int, fan_in: int) -> nn.Parameter:
    """Draw biases uniform within 1 / sqrt(fan-in)."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound))
