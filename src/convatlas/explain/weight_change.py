"""How far training has moved the weights of each layer: correlation and distance, over depth.

Source: Palanisamy, Singhania, Yao, 2020, arXiv:2007.11154, section 5: after training from weights
    of images the first layers' correlation with them is near 1, and falls with depth.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convatlas.errors import UsageError


@dataclass(frozen=True)
class WeightChange:
    """What training did to one layer.

    Args:
        layer: its path in the network.
        weights: how many numbers it has, without its bias.
        correlation: Pearson's, of the weights before and after; 1 where they are the same up to a
            positive factor, about 0 (within 3 / sqrt(weights)) where they have nothing in common,
            nan where one of both is constant.
        distance: length of the difference, relative to that of the weights before. Weight decay
            shrinks weights, which the correlation does not see.
    """

    layer: str
    weights: int
    correlation: float
    distance: float


def weight_changes(before: Mapping[str, Tensor], after: nn.Module) -> list[WeightChange]:
    """Compare the weights of each convolution and linear layer, in the order of the network.

    Args:
        before: `state_dict()` of the same network before training, copied (`copy.deepcopy`).
        after: the trained network. Layers of other shapes, such as a new classifier, are left out.

    Raises:
        UsageError: no layer has the same name and shape.
    """
    changes = []
    for path, layer in after.named_modules():
        old = before.get(f"{path}.weight")
        if old is None or not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            continue
        if old.shape == layer.weight.shape:
            changes.append(_change(path, old, layer.weight.detach()))
    if not changes:
        raise UsageError("weight_changes: the networks have no layer of the same name and shape")
    return changes


def _change(path: str, old: Tensor, new: Tensor) -> WeightChange:
    pair = torch.stack([old.flatten(), new.flatten()]).double().cpu()
    centred = pair - pair.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    correlation = (centred[0] @ centred[1]) / lengths.prod()
    distance = (pair[1] - pair[0]).norm() / pair[0].norm()
    return WeightChange(path, pair.shape[1], correlation.item(), distance.item())
