import pytest
import torch

from convatlas.atlas.index import read_index
from convatlas.models import create_model
from convatlas.models.classify.snet import HalvingUnit, PassingUnit

# Parameters and multiply-adds in M of another build of the paper's table.
COUNTS = {"snet49": (875_584, 51.2), "snet146": (1_574_512, 162.5), "snet535": (4_540_920, 539.9)}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference(name):
    entry = read_index()[name]
    assert (entry.params, round(entry.macs / 1e6, 1)) == COUNTS[name]


def test_every_second_channel_passes_and_comes_first():
    unit, x = PassingUnit(6).eval(), torch.randn(1, 6, 5, 5)
    with torch.no_grad():
        y = unit(x)
        torch.testing.assert_close(y[:, :3], x[:, [0, 2, 4]])
        torch.testing.assert_close(y[:, 3:], unit.branch(x[:, [1, 3, 5]]))


def test_where_a_stage_begins_one_part_keeps_the_inputs_channels():
    unit = HalvingUnit(24, 60)
    assert unit.past(torch.rand(2, 24, 7, 7)).shape == (2, 24, 4, 4)
    assert unit.branch(torch.rand(2, 24, 7, 7)).shape == (2, 36, 4, 4)


def test_maps_for_a_detector_end_with_the_last_convolution():
    model = create_model("snet49", features_only=True)
    assert model.feature_channels == [24, 24, 60, 120, 512]
    assert model.feature_strides == [2, 4, 8, 16, 32]
