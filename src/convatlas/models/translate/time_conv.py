"""Convolution along a sequence, as a whole or one step after the other with the same answer.

A causal filter of kernel k and dilation d sees its last d (k - 1) inputs. As a whole these are
zeros before the first step; step by step they are kept, so that a step costs the same however many
went before.

Source: Kalchbrenner et al., "Neural Machine Translation in Linear Time", 2016, arXiv:1610.10099,
        section 3, for causal ("masked") filters.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TimeConv(nn.Module):
    """Convolve along a sequence without bias, keeping its length.

    Args:
        groups: parts into which the channels are divided.
        causal: pad before the first step alone, so that no step sees a later one.

    Shape: (n, in_channels, l) -> (n, out_channels, l)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        causal: bool = False,
    ):
        super().__init__()
        self.conv = nn.Conv1d(
            in_channels, out_channels, kernel, dilation=dilation, groups=groups, bias=False
        )
        self.in_channels, self.causal = in_channels, causal
        self.reach = dilation * (kernel - 1)

    def forward(self, x: Tensor, past: "Past | None" = None) -> Tensor:
        if past is not None:
            x = past.extend(self, x)
        elif self.causal:
            x = F.pad(x, (self.reach, 0))
        else:
            x = F.pad(x, (self.reach // 2, self.reach - self.reach // 2))
        return self.conv(x)


class Past:
    """What each causal filter of a network still has to see of the steps before.

    Args:
        filters: of the network, in the order of `kept`.
        kept: the last inputs of each. Shape: (n, in_channels, reach)
    """

    def __init__(self, filters: Sequence[TimeConv], kept: Sequence[Tensor]):
        self.filters = filters
        self.kept = dict(zip(filters, kept, strict=True))

    def extend(self, filter: TimeConv, x: Tensor) -> Tensor:
        """Return the steps with those before them, and keep the last ones of both.

        Shape: (n, in_channels, l) -> (n, in_channels, reach + l)
        """
        longer = torch.cat([self.kept[filter], x], dim=2)
        self.kept[filter] = longer[:, :, longer.shape[2] - filter.reach :]
        return longer

    def state(self) -> tuple[Tensor, ...]:
        """Return what is kept, in the order of the filters."""
        return tuple(self.kept[filter] for filter in self.filters)


def causal_filters(model: nn.Module) -> list[TimeConv]:
    """List the filters that keep something between two steps."""
    return [m for m in model.modules() if isinstance(m, TimeConv) and m.causal]


def empty_past(filters: Sequence[TimeConv], like: Tensor) -> tuple[Tensor, ...]:
    """Return what the filters keep before the first step: zeros.

    Args:
        like: a tensor of the batch, of the network's type and device. Shape: (n, ...)

    Shape: of each filter (n, in_channels, reach)
    """
    return tuple(like.new_zeros(like.shape[0], f.in_channels, f.reach) for f in filters)
