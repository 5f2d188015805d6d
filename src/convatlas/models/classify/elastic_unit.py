"""The Elastic unit of the CSP networks: half of the channels are looked at from further away.

The second half is pooled, filtered at half the size and made as large again, so that a unit sees
small and large things at once, and this half costs a quarter of the work.

Source:  Wang et al., "ELASTIC", CVPR 2019, arXiv:1812.05262, section 3.2; as the configuration
         files beside Wang et al., "CSPNet", CVPR-W 2020, arXiv:1911.11929, have it.
Claims:  claims/cspnet.toml
Differs: at odd sizes the pooling rounds up and the enlarged maps are cut to the input's size.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ElasticUnit(nn.Module):
    """Two residues, one at full and one at half size, on half of the channels each; add the input.

    Args:
        residue: builds the convolutions of one half, which keep its channels and size; each half
            has weights of its own.
        after: follows the sum.

    Shape: (n, channels, h, w) -> (n, channels, h, w), channels even
    """

    def __init__(
        self, channels: int, residue: Callable[[int], nn.Module], after: nn.Module | None = None
    ):
        super().__init__()
        self.near, self.far = residue(channels // 2), residue(channels // 2)
        self.after = nn.Identity() if after is None else after

    def forward(self, x: Tensor) -> Tensor:
        near, far = x.chunk(2, 1)
        far = self.far(F.max_pool2d(far, 2, ceil_mode=True))
        h, w = x.shape[2:]
        # Every pixel twice. Asking for the size itself would stretch odd maps unevenly.
        far = F.interpolate(far, scale_factor=2)[:, :, :h, :w]
        return self.after(x + torch.cat([self.near(near), far], 1))
