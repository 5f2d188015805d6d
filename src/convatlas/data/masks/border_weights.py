"""How much each pixel counts so that the gaps between touching regions are learned.

Source: Ronneberger et al., 2015, arXiv:1505.04597, equation 2.
"""

import numpy as np
import torch
from torch import Tensor


def border_weights(
    mask: Tensor, *, inside: int = 1, strength: float = 10.0, sigma: float = 5.0
) -> Tensor:
    """Return 1 + strength * exp(-(d1 + d2)² / (2 sigma²)) for each pixel between two regions.

    d1 and d2 are the distances to the nearest and the second nearest connected region of the class
    `inside`; within regions, and where there are fewer than two, the weight is 1.

    Shape: whole numbers (h, w) or (d, h, w) -> float32 of the same shape
    """
    from scipy import ndimage

    regions = np.zeros(mask.shape, dtype=np.int32)
    count = int(ndimage.label((mask == inside).numpy(), output=regions))  # pyright: ignore[reportArgumentType]  a number where it writes into an array
    weights = np.ones(mask.shape, dtype=np.float32)
    if count < 2:
        return torch.from_numpy(weights)
    nearest = np.full((2, *mask.shape), np.inf)
    for region in range(1, count + 1):
        distance = ndimage.distance_transform_edt(regions != region)
        third = np.concatenate([nearest, np.asarray(distance)[None]])
        nearest = np.partition(third, 1, axis=0)[:2]
    outside = regions == 0
    gap = np.exp(-(nearest.sum(0) ** 2) / (2 * sigma**2))
    weights[outside] += (strength * gap[outside]).astype(np.float32)
    return torch.from_numpy(weights)
