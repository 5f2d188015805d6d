"""Local response normalisation: a channel that answers strongly damps its neighbours.

Source: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3.
"""

import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError


def local_response_norm(
    x: Tensor, neighbours: int = 5, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Tensor:
    """Compute x / (k + alpha * sum of the neighbouring channels' x^2) ^ beta.

    As the paper prints it: alpha is not divided by the number of neighbours, as torch divides it.

    Args:
        neighbours: channels in the sum, the own one in the middle.

    Shape: (n, c, i…) -> (n, c, i…)

    Cost: no multiply-adds by the counting rule.

    Raises:
        UsageError: neighbours even or below 1, or no axis after the channels.
    """
    if neighbours < 1 or neighbours % 2 == 0:
        raise UsageError(f"local_response_norm: neighbours must be odd, got {neighbours}")
    if x.dim() < 3:
        raise UsageError(f"local_response_norm: input must be (n, c, i…), got {tuple(x.shape)}")
    return F.local_response_norm(x, neighbours, alpha * neighbours, beta, k)
