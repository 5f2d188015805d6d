"""The partial dense block of CSPNet: a share of the channels passes the dense layers by.

Source: Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, section 3.2 and figure 3.
"""

import torch
from torch import Tensor, nn

from convatlas.blocks import check_option
from convatlas.errors import UsageError

# Figure 3 b to d: a transition before and after the two parts meet, only after, only before.
FUSIONS = ("csp", "first", "last")


class PartialDense(nn.Module):
    """Dense layers, and it may be a transition, on the last channels; the first pass them by.

    Args:
        past: channels that pass.
        through: what the others go through.

    Shape: (n, c, h, w) -> (n, past and what comes through, h, w)
    """

    def __init__(self, past: int, through: nn.Module):
        super().__init__()
        self.past, self.through = past, through

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, : self.past], self.through(x[:, self.past :])], 1)


def check_partial(model: str, partial: float, fusion: str) -> None:
    """Refuse a share that leaves the dense layers nothing, and a fusion that there is not.

    Raises:
        UsageError: partial is not from 0 to below 1, or fusion none of the three.
    """
    check_option(model, "fusion", fusion, FUSIONS)
    if not 0 <= partial < 1:
        raise UsageError(f"{model}: partial must be from 0 to below 1, got {partial}")
