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


def k_max_pool_each(x: Tensor, present: Tensor, k: Tensor, longest: int) -> Tensor:
    """Return the k largest values of each sequence of a batch in their order, k of its own.

    The sequences of a batch differ in length: what is not present is never chosen, and behind the
    chosen values stand zeros.

    Args:
        present: true where a sequence has a value.
        k: of each sequence, at most as many as it has values.
        longest: steps of the answer; k or more for each sequence, up to t.

    Shape: x (n, c, t), present (n, t) boolean, k (n,) -> (n, c, longest)

    Cost: no multiply-adds.
    """
    known = x.masked_fill(~present.unsqueeze(1), float("-inf"))
    places = known.sort(dim=2, descending=True).indices
    rank = torch.ones_like(places).cumsum(2) - 1
    taken = rank < k[:, None, None]
    # What is not taken goes to the end, in any order, and is put to zero there.
    end = places.size(2)
    order = torch.where(taken, places, end).sort(dim=2).values[:, :, :longest]
    values = x.gather(2, order.clamp(max=end - 1))
    return values.masked_fill(order == end, 0.0)


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
