from itertools import pairwise

import pytest
import torch

from convatlas.models import create_model
from convatlas.models.classify.shufflenet_v2 import (
    DownUnit,
    ShuffleUnit,
    shuffle_channels,
    stage_channels,
)
from convatlas.pretrained.keys import shufflenet_v2 as keys


@pytest.mark.parametrize("width", [0.5, 1.0, 1.5, 2.0])
def test_answers_equal_torchvision(width, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("shufflenet_v2", width=width, num_classes=10)
    builder = getattr(torchvision.models, f"shufflenet_v2_x{str(width).replace('.', '_')}")
    peer = builder(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_shuffling_deals_out_the_channels_of_each_group(groups):
    x = torch.arange(12.0).view(1, 12, 1, 1).expand(2, 12, 3, 2)
    each = 12 // groups
    expected = [g * each + i for i in range(each) for g in range(groups)]
    assert shuffle_channels(x, groups)[1, :, 2, 1].tolist() == expected


def test_widths_between_those_of_the_paper_never_fall():
    steps = [stage_channels(w / 100) for w in range(10, 201)]
    assert all(a <= b for a, b in pairwise(steps))
    assert all(first % 2 == 0 for first, _ in steps)
    assert stage_channels(0.1) == (10, 208)
    assert stage_channels(1.25) == (146, 1024)
    assert stage_channels(3.0) == (366, 3072)


def test_the_form_with_50_layers_has_the_published_cost(counted):
    params, macs = counted("shufflenet_v2_50")
    assert (params, macs) == (16_573_534, 2_304_152_672)
    assert round(macs / 1e9, 1) == 2.3
    with torch.device("meta"):
        model = create_model("shufflenet_v2_50")
    units = [m for m in model.modules() if isinstance(m, DownUnit | ShuffleUnit)]
    assert 3 * len(units) + 2 == 50
    assert [type(units[i]) for i in (0, 3, 7, 13)] == [DownUnit] * 4
    assert model.stages[1](torch.empty(1, 64, 112, 112, device="meta")).shape == (1, 244, 56, 56)
