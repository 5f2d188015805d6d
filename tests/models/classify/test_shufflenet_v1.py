import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.shufflenet_v1 import GroupedUnit, stem_channels

COUNTS = {
    "g1": (1_531_936, 143_078_976),
    "g2": (1_733_848, 140_836_512),
    "g3": (1_865_728, 137_460_672),
    "g4": (1_968_344, 134_339_776),
    "g8": (2_434_768, 138_365_952),
    "g1_x0.5": (534_484, 38_517_408),
    "g3_x0.5": (718_324, 37_589_856),
    "g1_x0.25": (209_908, 13_162_320),
    "g3_x0.25": (306_124, 13_300_656),
    "g3_x1.5": (3_442_168, 292_443_552),
    "g3_x2.0": (5_450_776, 524_045_184),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference_networks(name, counted):
    assert counted(f"shufflenet_v1_{name}") == COUNTS[name]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("g3_x0.5", 38),
        ("g8_x0.5", 40),
        ("g3", 137),
        ("g8", 138),
        ("g8_x1.5", 290),
        ("g8_x2.0", 522),
    ],
)
def test_macs_are_those_of_the_authors_repository(name, millions, counted):
    assert counted(f"shufflenet_v1_{name}")[1] / 1e6 == pytest.approx(millions, abs=0.6)


@pytest.mark.parametrize(
    ("name", "theirs"), [("g1_x0.5", "g1_wd2"), ("g3_x0.5", "g3_wd2"), ("g8", "g8_w1")]
)
def test_answers_equal_pytorchcv(name, theirs, assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model(f"shufflenet_v1_{name}", num_classes=10)
    peer = provider.get_model(f"shufflenet_{theirs}", num_classes=10)
    init = "features.init_block"
    paths = [(f"{init}.conv", "stages.0.0.0"), (f"{init}.bn", "stages.0.0.1")]
    paths.append(("output", "classifier"))
    parts = {"compress": "narrow", "dw": "filter", "expand": "widen"}
    for stage, repeats in ((1, 4), (2, 8), (3, 4)):
        for unit in range(repeats):
            base, mine = f"features.stage{stage}.unit{unit + 1}", f"stages.{stage + 1}.{unit}"
            for k, (part, own) in enumerate(parts.items(), start=1):
                paths.append((f"{base}.{part}_conv{k}", f"{mine}.{own}.0"))
                paths.append((f"{base}.{part}_bn{k}", f"{mine}.{own}.1"))
    assert_same_answers(ours, peer, paths, size=224)


def _plain_unit(unit, x, *, stride, shuffle):
    """Group by group and channel by channel; the norms of a new network change nothing."""
    groups = unit.narrow[0].groups
    inner = [
        F.conv2d(part, weight).relu()
        for part, weight in zip(
            x.chunk(groups, 1), unit.narrow[0].weight.chunk(groups, 0), strict=True
        )
    ]
    if shuffle:
        dealt = [inner[g][:, i] for i in range(inner[0].shape[1]) for g in range(groups)]
        y = torch.stack(dealt, 1)
    else:
        y = torch.cat(inner, 1)
    y = F.conv2d(y, unit.filter[0].weight, stride=stride, padding=1, groups=y.shape[1])
    weights = unit.widen[0].weight.chunk(groups, 0)
    y = [F.conv2d(p, w) for p, w in zip(y.chunk(groups, 1), weights, strict=True)]
    return torch.cat(y, 1)


def _unit(**options):
    torch.manual_seed(0)
    unit = GroupedUnit(options.pop("into", 12), 24, groups=3, **options).double().eval()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    return unit, torch.randn(2, unit.narrow[0].in_channels, 7, 7, dtype=torch.float64)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_unit_with_a_stride_equals_a_plain_second_computation(shuffle):
    unit, x = _unit(stride=2, shuffle=shuffle)
    pooled = F.conv2d(x, x.new_full((12, 1, 3, 3), 1 / 9), stride=2, padding=1, groups=12)
    expected = torch.cat([_plain_unit(unit, x, stride=2, shuffle=shuffle), pooled], 1).relu()
    torch.testing.assert_close(unit(x), expected)


def test_a_gated_unit_equals_a_plain_second_computation():
    unit, x = _unit(into=24, stride=1, gated=True)
    y = _plain_unit(unit, x, stride=1, shuffle=True)
    hidden = unit.gate.reduce(y.mean((2, 3))).relu()
    assert hidden.shape == (2, 24 // 16)
    y = y * unit.gate.expand(hidden).sigmoid()[:, :, None, None]
    torch.testing.assert_close(unit(x), (x + y).relu())


def test_gates_stand_behind_the_concatenation():
    unit, _ = _unit(stride=2, gated=True)
    assert unit.gate.reduce.in_features == 24


def test_only_the_very_first_1x1_is_not_grouped():
    model = create_model("shufflenet_v1_g4", width=0.5)
    units = [u for stage in model.stages for u in stage if isinstance(u, GroupedUnit)]
    assert [u.narrow[0].groups for u in units] == [1] + [4] * 15
    assert {u.widen[0].groups for u in units} == {4}
    assert {u.groups for u in units} == {4}


def test_variants_of_tables_3_and_5():
    names = {"g3_noshuffle": 1, "g8_x0.5_noshuffle": 1, "g3_x0.5_shallow": 3}
    for name, groups in names.items():
        model = create_model(f"shufflenet_v1_{name}", num_classes=2)
        assert model.stages[2][1].groups == groups
    assert [len(stage) for stage in model.stages] == [1, 1, 2, 4, 2]


def test_the_first_convolution_has_the_authors_channels():
    assert [stem_channels(w, 3) for w in (0.25, 0.5, 1, 1.5, 2)] == [12, 12, 24, 24, 48]
    assert [stem_channels(w, 8) for w in (0.5, 1, 1.5, 2)] == [16, 24, 24, 48]


def test_other_groups_are_refused():
    with pytest.raises(UsageError, match="groups must be one of 1, 2, 3, 4, 8, got 5"):
        create_model("shufflenet_v1_g3", groups=5)
