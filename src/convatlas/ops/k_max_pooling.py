"""k-max pooling: the k largest values of a sequence, in the order in which they came.

Source: Kalchbrenner, Grefenstette, Blunsom, 2014, arXiv:1404.2188, sections 3.2 and 3.3.
"""

import torch
from torch import Tensor

from convatlas.errors import UsageError


def k_max_pool(x: Tensor, k: int) -> Tensor:
    """Return the k largest values along the last axis, in their order.

    Shape: (…, t) -> (…, k)

    Cost: no multiply-adds.

    Raises:
        UsageError: k is not from 1 to t.
    """
    if not 1 <= k <= x.shape[-1]:
        raise UsageError(f"k_max_pool: k must be from 1 to the {x.shape[-1]} steps, got {k}")
    chosen = torch.topk(x, k, dim=-1).indices.sort(dim=-1).values
    return x.gather(-1, chosen)


def dynamic_k(layer: int, layers: int, *, top: int, length: int) -> int:
    """Compute how many values layer `layer` of `layers` keeps: max(top, ceil((L - l) / L * n)).

    Args:
        top: values that the last layer keeps, whatever the length.
        length: of the whole sequence.

    Raises:
        UsageError: layer is not from 1 to layers, or a number below 1.
    """
    if not 1 <= layer <= layers or top < 1 or length < 1:
        raise UsageError(
            f"dynamic_k: layer must be from 1 to {layers}, top and length 1 or more; "
            f"got layer {layer}, top {top}, length {length}"
        )
    return max(top, -(-(layers - layer) * length // layers))
