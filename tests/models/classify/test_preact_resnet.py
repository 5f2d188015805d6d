import pytest
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.preact_resnet_cifar import PreActResNetCifar

COUNTS = {
    # 128 parameters fewer than pytorchcv's: the norm of the stem serves the first unit too
    "preact_resnet18": (11_687_848 - 128, 1_814_073_344),
    "preact_resnet34": (21_796_008 - 128, 3_663_761_408),
    "preact_resnet50": (25_549_480 - 128, 3_857_973_248),
    "preact_resnet101": (44_541_608 - 128, 7_570_194_432),
    "preact_resnet152": (60_185_256 - 128, 11_282_415_616),
    "preact_resnet200": (64_666_280 - 128, 14_776_270_848),
    # by the paper's layer table
    "preact_resnet110_cifar": (1_727_962, 252_887_680),
    "preact_resnet164_cifar": (1_703_258, 244_500_992),
    "preact_resnet1001_cifar": (10_327_706, 1_487_849_984),
    "resnet164_cifar": (1_704_154, 244_500_992),
    "resnet1001_cifar": (10_328_602, 1_487_849_984),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_reference_networks(name, counted):
    assert counted(name) == COUNTS[name]


def units(model):
    """(path at pytorchcv, path here, unit) of every unit."""
    for s, stage in enumerate(model.stages):
        found = [i for i, layer in enumerate(stage) if hasattr(layer, "residue")]
        for number, i in enumerate(found, start=1):
            theirs = s if len(model.stages) == 5 else s + 1  # the stem counts where it pools
            yield f"features.stage{theirs}.unit{number}", f"stages.{s}.{i}", stage[i]


def paths(model, bottleneck):
    found = [("output", "classifier"), ("features.post_activ.bn", "head.0")]
    for theirs, ours, unit in units(model):
        if not isinstance(unit.start, nn.Identity):
            found.append((f"{theirs}.body.conv1.bn", f"{ours}.start.0"))
        found.append((f"{theirs}.body.conv1.conv", f"{ours}.residue.0"))
        for k in range(1, 3 if bottleneck else 2):
            found.append((f"{theirs}.body.conv{k + 1}.bn", f"{ours}.residue.{k}.0"))
            found.append((f"{theirs}.body.conv{k + 1}.conv", f"{ours}.residue.{k}.3"))
        if unit.shortcut_is_activated:
            found.append((f"{theirs}.identity_conv", f"{ours}.shortcut"))
    return found


@pytest.mark.parametrize("depth", [18, 50])
def test_answers_equal_pytorchcv(depth, assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model(f"preact_resnet{depth}", num_classes=10)
    peer = provider.get_model(f"preresnet{depth}", num_classes=10)
    # It norms the stem's output once more, which the paper does not.
    peer.features.stage1.unit1.body.conv1.bn = nn.Identity()
    names = paths(ours, bottleneck=depth >= 50)
    names += [
        ("features.init_block.conv", "stages.0.0.0"),
        ("features.init_block.bn", "stages.0.0.1"),
    ]
    assert_same_answers(ours, peer, names, size=224)


def test_answers_of_cifar_bottlenecks_equal_pytorchcv(assert_same_answers):
    preresnet_cifar = pytest.importorskip("pytorchcv.models.preresnet_cifar")
    ours = create_model("preact_resnet164_cifar", depth=20)
    peer = preresnet_cifar.get_preresnet_cifar(num_classes=10, blocks=20, bottleneck=True)
    for stage in (peer.features.stage2, peer.features.stage3):  # the stride goes where ours is
        stage.unit1.body.conv1.conv.stride = (2, 2)
        stage.unit1.body.conv2.conv.stride = (1, 1)
    names = paths(ours, bottleneck=True)
    names += [("features.init_block", "stages.0.0.0")]
    names += [("features.stage1.unit1.body.conv1.bn", "stages.0.0.1")]
    assert_same_answers(ours, peer, names, size=32)


def test_basic_units_for_cifar_have_shortcuts_without_weights():
    model = PreActResNetCifar(depth=8)
    assert not [n for n, _ in model.named_parameters() if ".shortcut" in n]


@pytest.mark.parametrize(("depth", "bottleneck", "layers"), [(165, False, 6), (112, True, 9)])
def test_other_depths_are_refused(depth, bottleneck, layers):
    with pytest.raises(UsageError, match=rf"PreActResNetCifar: depth must be {layers} n \+ 2"):
        PreActResNetCifar(depth=depth, bottleneck=bottleneck)
