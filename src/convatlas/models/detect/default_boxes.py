"""Default boxes: at each place of some maps, boxes of a few sizes and ratios, as SSD has them.

Source: Liu et al., "SSD", ECCV 2016, arXiv:1512.02325, section 2.2; the fewer boxes on the first
        map as in the configuration of TensorFlow's object detection.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

Kind = tuple[float, float]  # scale, ratio of width to height
RATIOS = (2.0, 3.0)  # and what these are upside down
MAX_STRIDES = 4.5  # a box's side in strides of its map; SSD's own lie at 4 on the first


def scales_of(maps: int, low: float, high: float) -> list[float]:
    """Return the scale of each map and the one that follows: evenly spaced, then 1."""
    return [low + (high - low) * k / (maps - 1) for k in range(maps)] + [1.0]


def default_kinds(maps: int, low: float, high: float, *, few_first: bool) -> list[list[Kind]]:
    """Return scale and ratio of the boxes at a place of each map.

    Args:
        low: scale on the first map, as a share of the image's side.
        high: scale on the last map.
        few_first: three boxes on the first map, one of them of half its scale, instead of six.
    """
    scales = scales_of(maps, low, high)
    kinds = []
    for scale, following in pairwise(scales):
        own: list[Kind] = [(scale, 1.0), ((scale * following) ** 0.5, 1.0)]
        for ratio in RATIOS:
            own += [(scale, ratio), (scale, 1 / ratio)]
        kinds.append(own)
    if few_first:
        kinds[0] = [(low / 2, 1.0), (low, RATIOS[0]), (low, 1 / RATIOS[0])]
    return kinds


def spread_kinds(
    strides: Sequence[float], low: float, high: float, per_octave: int
) -> list[list[Kind]]:
    """Return scale and ratio of the boxes at a place of each map, as boxes of one data set need.

    Scales rise in equal steps from the lowest to the highest, each on the finest map whose places
    are not many times closer than such boxes are large. What maps are left take the scales that
    would follow.

    Args:
        strides: of each map, as shares of the image's side.
        low: scale of the smallest boxes, as a share of the image's side; `high` of the largest.
        per_octave: scales from one to twice as large a one.
    """
    step = 2 ** (1 / per_octave)
    count = max(1, math.ceil(math.log(high / low, step) + 1 - 1e-9))
    scales = [low * (high / low) ** (k / max(1, count - 1)) for k in range(count)]
    kinds: list[list[Kind]] = []
    for stride in strides[:-1]:
        own = [scale for scale in scales if scale <= MAX_STRIDES * stride]
        scales = scales[len(own) :]
        if not own:  # the map after one with the last of the boxes, or with larger places than all
            following = kinds[-1][-1][0] * step if kinds else low
            own = [scales.pop(0) if scales else min(1.0, following)]
        kinds.append(_shapes(own))
    following = kinds[-1][-1][0] * step if kinds else low
    return [*kinds, _shapes(scales or [min(1.0, following)])]


def _shapes(scales: Sequence[float]) -> list[Kind]:
    return [(scale, ratio) for scale in scales for ratio in (1.0, RATIOS[0], 1 / RATIOS[0])]


def default_boxes(
    kinds: Sequence[Sequence[Kind]], grids: Sequence[tuple[int, int]], height: int, width: int
) -> Tensor:
    """Return the boxes of all places, map by map and row by row, in pixels of the image.

    Args:
        kinds: of each map, scale and ratio.
        grids: rows and columns of each map.

    Shape: (places, 4), x1 y1 x2 y2
    """
    boxes = []
    for own, (rows, columns) in zip(kinds, grids, strict=True):
        y = (torch.arange(rows, dtype=torch.float32) + 0.5) / rows
        x = (torch.arange(columns, dtype=torch.float32) + 0.5) / columns
        y, x = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack((x, y), dim=-1).reshape(-1, 1, 2)
        halves = [[s * r**0.5 / 2, s / r**0.5 / 2] for s, r in own]
        half = torch.tensor(halves, dtype=torch.float32).clamp(max=0.5)
        boxes.append(torch.cat((centres - half, centres + half), dim=-1).reshape(-1, 4))
    return torch.cat(boxes) * torch.tensor([width, height, width, height], dtype=torch.float32)
