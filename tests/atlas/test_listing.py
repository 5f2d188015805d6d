import subprocess
import sys

import pytest
from torch import nn

from convatlas.atlas.listing import list_models, rows
from convatlas.errors import UsageError
from convatlas.models.classify.mobilenet_v2 import MobileNetV2
from convatlas.models.registry import _entries, register


def test_limits_and_patterns_choose():
    small = list_models("classify", max_params=2e6, max_macs=1e8, filter="mobilenet_v*")
    assert "mobilenet_v2_w0.5" in small
    assert "mobilenet_v2" not in small
    assert all(name.startswith("mobilenet_v") for name in small)


def test_a_limit_includes_its_own_value():
    assert "mobilenet_v2" in list_models(max_params=3_504_872)
    assert "mobilenet_v2" not in list_models(max_params=3_504_871)


def test_several_patterns_add_up():
    both = list_models(filter=["resnet18", "lenet5"])
    assert both == ["lenet5", "resnet18"]


def test_numbers_in_names_sort_as_numbers():
    assert list_models(filter="resnet??")[0] == "resnet18"
    assert list_models(filter=["resnet18", "resnet101"]) == ["resnet18", "resnet101"]
    widths = list_models(filter="mobilenet_v2_w0*")
    assert widths == ["mobilenet_v2_w0.35", "mobilenet_v2_w0.5", "mobilenet_v2_w0.75"]


def test_an_unknown_task_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match="no task 'classfy'; nearest: classify"):
        list_models("classfy")


def test_a_row_carries_the_published_accuracy_of_one_plain_pass():
    (row,) = rows(filter="resnet50")
    assert row.published is not None
    assert (row.published.value, row.published.dataset) == (0.753, "imagenet")
    assert row.published.setting is None  # the 10-crop figure of the paper is another
    assert row.to_dict()["accuracy"] == 0.753


def test_decibels_and_relative_gains_are_no_accuracies():
    shown = {
        row.name: row.published for row in rows(filter=["tsenet", "conv_tasnet", "swishnet_slim"])
    }
    assert shown["conv_tasnet"] is shown["tsenet"] is None
    assert shown["swishnet_slim"].dataset == "musan"


def test_networks_with_public_weights_are_listed_where_asked():
    names = list_models(filter="mobilenet_v2*", pretrained=True)
    assert names == ["mobilenet_v2", "mobilenet_v2_w0.5", "mobilenet_v2_w1.4"]
    assert {row.name: row.pretrained for row in rows(filter=["resnet18", "lenet5"])} == {
        "lenet5": False,
        "resnet18": True,
    }


class Own(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x)

    def example(self):
        return MobileNetV2.example(MobileNetV2(), size=10)


def test_a_network_of_ones_own_is_counted_when_listed():
    register("own_network", Own, width=2)
    try:
        (row,) = rows("custom")
        assert (row.name, row.params, row.macs) == ("own_network", 56, 8 * 8 * 2 * 3 * 9)
    finally:
        del _entries["own_network"]


def test_listing_does_not_import_torch():
    code = (
        "import sys; from convatlas.atlas.listing import list_models, rows; "
        "assert list_models() and rows(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
