import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.pydmobilenet import PydUnit

# The authors' files list three shifts of the input's norm that are never learned; the counts of
# the sheet hold them, ours do not.
UNLEARNED = 3
COUNTS = {
    "resnet29_cifar_w0.5_bottleneck": (221_165, 33_654_016),
    "mobilenet29_cifar_w0.5": (79_037, 13_194_496),
    "mobilenet29_cifar": (142_797, 24_454_400),
    "mobilenet29_cifar_w1.5": (206_557, 35_714_304),
    "pydmobilenet29_cifar_w0.25": (59_589, 10_747_136),
    "pydmobilenet29_cifar_w0.5": (103_901, 19_559_680),
    "pydmobilenet29_cifar_w0.75": (148_213, 28_372_224),
    "pydmobilenet29_cifar": (192_525, 37_184_768),
    "resnet56_cifar_w0.5_bottleneck": (434_861, 64_324_864),
    "mobilenet56_cifar_w0.5": (150_605, 23_405_824),
    "mobilenet56_cifar": (283_245, 44_877_056),
    "mobilenet56_cifar_w1.5": (415_885, 66_348_288),
    "pydmobilenet56_cifar_w0.25": (109_149, 19_035_392),
    "pydmobilenet56_cifar_w0.5": (200_333, 36_136_192),
    "pydmobilenet56_cifar_w0.75": (291_517, 53_236_992),
    "pydmobilenet56_cifar": (382_701, 70_337_792),
    "pydmobilenet29_cifar_w0.25_concat": (92_517, 15_465_728),
    "pydmobilenet29_cifar_w0.5_concat": (169_757, 28_996_864),
    "pydmobilenet29_cifar_w0.75_concat": (246_997, 42_528_000),
    "pydmobilenet56_cifar_w0.25_concat": (175_005, 28_472_576),
    "pydmobilenet56_cifar_w0.5_concat": (332_045, 55_010_560),
    "pydmobilenet56_cifar_w0.75_concat": (489_085, 81_548_544),
}
IMAGENET32 = {0.25: 2_231_307, 0.5: 2_798_315, 0.75: 3_365_323}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_every_row_of_the_papers_table(name, counted):
    params, macs = COUNTS[name]
    assert counted(name) == (params - UNLEARNED, macs)
    assert counted(name, num_classes=100)[0] == params - UNLEARNED + 11_610


@pytest.mark.parametrize("width", IMAGENET32)
def test_counts_of_the_imagenet32_networks(width, counted):
    params, _ = counted(f"pydmobilenet56_imagenet32_w{width}")
    assert params == IMAGENET32[width] - UNLEARNED


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("concat", [False, True])
@pytest.mark.parametrize("kernels", [(3, 5, 7), (3,), ()])
def test_a_unit_equals_a_plain_second_computation(stride, concat, kernels):
    torch.manual_seed(0)
    out = 8 if stride == 1 else 12
    unit = PydUnit(8, out, hidden=6, stride=stride, kernels=kernels, concat=concat).double()
    x = torch.randn(4, 8, 9, 9, dtype=torch.float64)
    _, _, narrow, _, _, filters, _, _, widen, _ = unit.residue

    def norm(a):  # in training, with the first scale of 1 and shift of 0
        return F.batch_norm(a, None, None, training=True)

    y = F.conv2d(norm(x).relu(), narrow.weight)
    y = norm(y).relu()
    if kernels:
        maps = [
            F.conv2d(y, f.weight, stride=stride, padding=k // 2, groups=6)
            for f, k in zip(filters.filters, kernels, strict=True)
        ]
        y = torch.cat(maps, 1) if concat else torch.stack(maps).sum(0)
    else:
        y = F.conv2d(y, filters.weight, stride=stride, padding=1)
    y = norm(F.conv2d(norm(y).relu(), widen.weight))
    same = stride == 1
    shortcut = x if same else norm(F.conv2d(x, unit.shortcut[0].weight, stride=stride))
    torch.testing.assert_close(unit(x), shortcut + y)


def test_stages_are_pooled_directly_and_the_input_norm_learns_nothing():
    model = create_model("pydmobilenet29_cifar").eval()
    assert not list(model.stages[0][0].parameters())
    x = torch.rand(2, 3, 32, 32)
    expected = model.classifier(model.stages(x).flatten(2).mean(2))
    torch.testing.assert_close(model(x), expected)


def test_deeper_networks_are_built_from_9_layers_a_unit_and_stage():
    model = create_model("pydmobilenet29_cifar", depth=83)
    assert sum(isinstance(m, PydUnit) for m in model.modules()) == 27


@pytest.mark.parametrize("depth", [2, 28, 165])
def test_other_depths_are_refused(depth):
    with pytest.raises(UsageError, match=f"depth must be 9 n \\+ 2, got {depth}"):
        create_model("pydmobilenet29_cifar", depth=depth)
