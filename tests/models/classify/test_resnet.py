import pytest
import torch

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.pretrained.keys import resnet as keys

PARAMS = {
    18: 11_689_512,
    34: 21_797_672,
    50: 25_557_032,
    101: 44_549_160,
    152: 60_192_808,
}
MACS = {  # stride in the first 1 x 1, as in the paper; then in the 3 x 3
    18: (1_814_073_344, 1_814_073_344),
    34: (3_663_761_408, 3_663_761_408),
    50: (3_857_973_248, 4_089_184_256),
    101: (7_570_194_432, 7_801_405_440),
    152: (11_282_415_616, 11_513_626_624),
}


@pytest.mark.parametrize("depth", PARAMS)
@pytest.mark.parametrize("stride_in_3x3", [False, True])
def test_counts_are_those_of_the_reference_networks(depth, stride_in_3x3, counted):
    got = counted(f"resnet{depth}", stride_in_3x3=stride_in_3x3)
    assert got == (PARAMS[depth], MACS[depth][stride_in_3x3])


def _units(model):
    """Our units, stage by stage."""
    for s in range(1, 5):
        shift = 1 if s == 1 else 0  # the pooling stands before the first units
        yield s, [(i - shift, f"stages.{s}.{i}") for i in range(shift, len(model.stages[s]))]


@pytest.mark.parametrize("depth", [18, 50])
def test_answers_equal_torchvision(depth, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(f"resnet{depth}", stride_in_3x3=True, num_classes=10)
    peer = getattr(torchvision.models, f"resnet{depth}")(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


@pytest.mark.parametrize("depth", [34, 50])
def test_answers_equal_timm(depth, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(f"resnet{depth}", stride_in_3x3=True, num_classes=10)
    peer = timm.create_model(f"resnet{depth}", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


@pytest.mark.parametrize("depth", [34, 50])
def test_answers_with_the_stride_in_the_first_1x1_equal_pytorchcv(depth, assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model(f"resnet{depth}", num_classes=10)
    # Its last pooling is a fixed 7 x 7 window, hence the full size.
    peer = provider.get_model(f"resnet{depth}", num_classes=10)
    pairs = [("init_block.conv", "stages.0.0")]
    for s, units in _units(ours):
        for i, unit in units:
            base = f"stage{s}.unit{i + 1}"
            pairs += [(f"{base}.body.conv{k + 1}", f"{unit}.residue.{k}") for k in range(3)]
            pairs.append((f"{base}.identity_conv", f"{unit}.shortcut"))
    paths = [("output", "classifier")]
    for theirs, mine in pairs:
        paths += [(f"features.{theirs}.conv", f"{mine}.0"), (f"features.{theirs}.bn", f"{mine}.1")]
    assert_same_answers(ours, peer, paths, size=224)


def test_a_plain_network_and_one_with_option_a_have_the_same_weights(counted):
    plain, option_a = counted("plain34"), counted("resnet34_option_a")
    assert plain == option_a
    projections = [64 * 128, 128 * 256, 256 * 512]
    norms = [2 * 128, 2 * 256, 2 * 512]
    assert plain[0] == PARAMS[34] - sum(projections) - sum(norms)
    pixels = [28 * 28, 14 * 14, 7 * 7]
    assert plain[1] == MACS[34][0] - sum(m * p for m, p in zip(projections, pixels, strict=True))


def test_option_c_projects_around_every_unit(counted):
    repeats = {64: 3, 128: 3, 256: 5, 512: 2}  # units whose shape stays
    extra = sum(count * (c * c + 2 * c) for c, count in repeats.items())
    assert counted("resnet34_option_c")[0] == PARAMS[34] + extra


def test_a_plain_network_is_its_residues_alone():
    torch.manual_seed(0)
    model = create_model("plain18", width=0.125, num_classes=5).eval()
    x = torch.rand(2, 3, 64, 64)
    y = model.stages[0](x)
    for layer in (layer for stage in list(model.stages)[1:] for layer in stage):
        y = layer.residue(y).relu() if hasattr(layer, "residue") else layer(y)
    torch.testing.assert_close(model(x), model.classifier(y.mean((2, 3))))


@pytest.mark.parametrize(
    ("option", "value"), [("depth", 51), ("shortcut", "D"), ("stem_stride", 3)]
)
def test_other_options_are_refused(option, value):
    with pytest.raises(UsageError, match=f"ResNet: {option} must be one of .* got {value}"):
        create_model("resnet50", **{option: value})


@pytest.mark.parametrize("width", [0.1, 0.25, 0.7, 1.5])
def test_cost_grows_with_width(width, counted):
    narrow, wide = counted("resnet50", width=width), counted("resnet50", width=width * 1.3)
    assert narrow[0] < wide[0]
    assert narrow[1] < wide[1]
