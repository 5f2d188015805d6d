"""Default boxes as one data set needs them: each size of object has some near it."""

import math
from itertools import pairwise

import pytest
import torch
from torchvision.ops import box_iou

from convatlas.models.detect.default_boxes import (
    MAX_STRIDES,
    default_boxes,
    default_kinds,
    spread_kinds,
)

SIDE, MAPS = 320, 6
STRIDES = [16 * 2**k / SIDE for k in range(MAPS)]
GRIDS = [(math.ceil(SIDE / (16 * 2**k)),) * 2 for k in range(MAPS)]


@pytest.mark.parametrize(("low", "high"), [(0.06, 0.44), (0.2, 0.95), (0.03, 0.06), (0.5, 0.5)])
@pytest.mark.parametrize("per_octave", [1, 2, 3])
def test_scales_rise_evenly_each_on_the_finest_map_that_suits(low, high, per_octave):
    kinds = spread_kinds(STRIDES, low, high, per_octave)
    assert len(kinds) == MAPS
    assert all(own for own in kinds)
    scales = [scale for own in kinds for scale, ratio in own if ratio == 1]
    assert scales == sorted(scales)
    assert scales[0] == pytest.approx(low)
    assert any(scale == pytest.approx(high) for scale in scales)
    between = [b / a for a, b in pairwise(scales) if b < 1]
    assert max(between, default=1) <= 2 ** (1 / per_octave) + 1e-9
    for own, stride in zip(kinds, STRIDES, strict=True):
        assert max(scale for scale, _ in own) <= max(MAX_STRIDES * stride, low, min(scales[-1], 1))
        assert {ratio for _, ratio in own} == {1.0, 2.0, 0.5}


def test_small_objects_get_boxes_that_published_scales_do_not_give_them():
    """Squares of 0.1 to 0.4 of the side, anywhere: each overlaps a default box by half or more."""
    random = torch.Generator().manual_seed(0)
    sides = SIDE * (0.1 + 0.3 * torch.rand(200, 1, generator=random))
    corner = (SIDE - sides) * torch.rand(200, 2, generator=random)
    objects = torch.cat((corner, corner + sides), 1)

    def reached(kinds):
        overlap = box_iou(objects, default_boxes(kinds, GRIDS, SIDE, SIDE)).max(1).values
        return float((overlap >= 0.5).float().mean())

    assert reached(spread_kinds(STRIDES, 0.1, 0.4, 2)) > 0.97
    assert reached(default_kinds(MAPS, 0.1, 0.4, few_first=False)) < 0.9
