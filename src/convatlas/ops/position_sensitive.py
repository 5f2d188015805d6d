"""PSRoI align: each bin of a region reads channels of its own, by bilinear interpolation.

Source: Dai et al., "R-FCN", NIPS 2016, arXiv:1605.06409, section 2; sampling as in He et al.,
    "Mask R-CNN", ICCV 2017, arXiv:1703.06870, section 3.
"""

import torch
from torch import Tensor


def position_sensitive_align(
    x: Tensor, regions: Tensor, images: Tensor, *, scale: float, bins: int, samples: int = 2
) -> Tensor:
    """Average each bin's own channels over `samples` x `samples` points of the bin.

    Channel c * bins² + y * bins + x of the input is read by bin (y, x) for channel c of the
    output. Points more than a pixel outside the maps read 0. Everything is picked by index from
    one long row, so that any exporter can write it.

    Args:
        x: maps.
        regions: x1 y1 x2 y2 in pixels of the image.
        images: of which image of the batch each region is, as a number of any kind.
        scale: pixels of the maps for one of the image.
        bins: along each side.
        samples: points along each side of a bin.

    Shape: x (n, c * bins ** 2, h, w), regions (r, 4), images (r,) -> (r, c, bins, bins)

    Cost: none by the counting rule; 4 * samples ** 2 picked numbers for each of the output.
    """
    height, width = x.shape[2], x.shape[3]
    corners = regions * scale - 0.5
    start, end = corners[:, :2], corners[:, 2:]
    steps = (torch.arange(bins * samples, device=x.device, dtype=x.dtype) + 0.5) / (bins * samples)
    along = start.unsqueeze(2) + (end - start).unsqueeze(2) * steps  # (r, 2, bins * samples)
    columns, column_weights = _neighbours(along[:, 0], width)
    rows, row_weights = _neighbours(along[:, 1], height)
    # (r, y, x): every pair of a row's and a column's neighbour, 2 * samples of each in a bin.
    place = rows.unsqueeze(2) * width + columns.unsqueeze(1)
    weight = row_weights.unsqueeze(2) * column_weights.unsqueeze(1)
    side = 2 * samples
    place = place.unflatten(2, (bins, side)).unflatten(1, (bins, side)).transpose(2, 3)
    weight = weight.unflatten(2, (bins, side)).unflatten(1, (bins, side)).transpose(2, 3)
    place, weight = place.flatten(3).flatten(1, 2), weight.flatten(3).flatten(1, 2)
    channels = x.shape[1] // bins**2
    own = torch.arange(channels * bins**2, device=x.device).unflatten(0, (channels, bins**2))
    first = images.to(torch.int64)[:, None, None] * x.shape[1] + own
    index = first.unsqueeze(3) * (height * width) + place.unsqueeze(1)
    picked = x.reshape(-1)[index]  # (r, channels, bins², 4 * samples²)
    mean = (picked * weight.unsqueeze(1)).sum(3) / samples**2
    return mean.unflatten(2, (bins, bins))


def _neighbours(at: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the two pixels around each point and their shares. Shape: (r, k) -> two (r, 2 * k)"""
    inside = (at >= -1) & (at <= size)
    at = at.clamp(0, size - 1)
    low = at.floor()
    high = (low + 1).clamp(max=size - 1)
    share = at - low
    places = torch.stack([low, high], 2).flatten(1).to(torch.int64)
    shares = torch.stack([1 - share, share], 2) * inside.unsqueeze(2).to(at.dtype)
    return places, shares.flatten(1)
