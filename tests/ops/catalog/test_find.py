import pytest
import torch

from convatlas import cost
from convatlas.ops.catalog.find import KINDS, find_kind

OTHERS = {
    "conv": {"kernel": 2, "stride": 2, "padding": "valid", "dilation": 2, "groups": 2, "dims": 1},
    "strided": {"padding": "1", "dims": 3, "size": 5},
    "dilated": {"dilation": 3, "dims": 1},
    "pointwise": {"groups": 2, "dims": 3, "size": 3},
    "grouped": {"groups": 2, "stride": 2},
    "shuffled_group": {"kernel": 3, "groups": 2, "dims": 1},
    "transposed": {"stride": 3, "output_padding": 0, "groups": 4, "dims": 1, "dilation": 2},
    "depthwise": {"multiplier": 3, "stride": 2, "dilation": 2, "kernel": 5},
    "separable": {"multiplier": 2, "stride": 2, "padding": "valid", "kernel": 4},
    "spatially_separable": {"kernel": 5, "stride": 2},
    "two_step": {"middle_channels": 5, "stride": 3},
    "sub_separable": {"groups": 2, "dims": 2, "size": 5},
    "super_separable": {"groups": 4, "dims": 3, "size": 3},
    "pyramid": {"kernels": (1, 5), "concat": True, "stride": 2, "dims": 1},
    "masked": {"mask": "B", "colours": 3, "kernel": 5},
    "causal": {"dilation": 4, "groups": 2},
    "gated": {"gate": "gtu", "dims": 2, "size": 4},
    "spectral": {"vertices": 5},
    "chebyshev": {"vertices": 6, "order": 1},
    "first_order": {"vertices": 4},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("changed", [False, True])
def test_arithmetic_agrees_with_what_is_built_and_counted(name, changed):
    kind = find_kind(name)
    spec = kind.spec(**(dict(kind.options) | (OTHERS[name] if changed else {})))
    module, x = spec.build(), torch.rand(1, *spec.input)
    assert tuple(module(x).shape[1:]) == spec.output
    assert sum(p.numel() for p in module.parameters()) == spec.count.params
    assert cost.macs(module, x) == spec.count.macs


@pytest.mark.parametrize("name", KINDS)
def test_the_ordinary_one_is_a_full_map_or_window(name):
    spec = find_kind(name).spec()
    assert spec.ordinary.params > 0
    assert spec.macs_ratio == spec.count.macs / spec.ordinary.macs
    dear = {"gated"}
    assert (spec.macs_ratio > 1) == (name in dear)
    assert spec.params_ratio == spec.count.params / spec.ordinary.params


def test_a_separable_layer_of_the_sheet():
    spec = find_kind("separable").spec(
        in_channels=3, out_channels=256, kernel=5, size=12, padding="valid"
    )
    assert (spec.count.macs, spec.ordinary.macs) == (53_952, 1_228_800)
    assert spec.output == (256, 8, 8)


def test_every_kind_says_what_it_does_and_hyphens_are_underscores():
    assert all(kind.about.endswith(".") and len(kind.about) < 100 for kind in KINDS.values())
    assert find_kind("two-step") is KINDS["two_step"]


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(KeyError, match="no kind of convolution 'seperable'; nearest: separable"):
        find_kind("seperable")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conv", {"dims": 4}, "dims must be 1 to 3"),
        ("conv", {"size": 2, "kernel": 5, "padding": "valid"}, "spans 5 positions, but size 2"),
        ("grouped", {"groups": 3}, "in_channels must be a multiple of groups, got 16 for 3"),
        ("gated", {"gate": "relu"}, "gate must be glu or gtu, got 'relu'"),
        ("conv", {"in_channels": 0}, "in_channels must be"),
        ("depthwise", {"channels": -1}, "must be"),
        ("chebyshev", {"order": 0}, "must be"),
        ("spectral", {"vertices": 0}, "must be"),
        ("pyramid", {"kernels": ()}, "must be"),
        ("gated", {"size": 0}, "size 1 or more"),
        ("two_step", {"middle_channels": 0}, "must be"),
        ("spatially_separable", {"out_channels": 0}, "must be"),
    ],
)
def test_impossible_numbers_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        find_kind(name).spec(**options)
