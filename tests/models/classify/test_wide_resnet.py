import pytest

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.pretrained.keys import wide_resnet as keys

COUNTS = {  # by the paper's layer table
    "wide_resnet40_1_cifar": (563_930, 83_280_512),
    "wide_resnet40_2_cifar": (2_243_546, 327_599_360),
    "wide_resnet40_4_cifar": (8_949_210, 1_298_582_016),
    "wide_resnet40_8_cifar": (35_748_314, 5_172_024_320),
    "wide_resnet40_10_dropout_cifar": (55_841_754, 8_074_483_968),
    "wide_resnet28_10_cifar": (36_479_194, 5_243_328_768),
    "wide_resnet28_12_cifar": (52_517_850, 7_543_905_792),
    "wide_resnet22_8_cifar": (17_158_106, 2_454_115_328),
    "wide_resnet22_10_cifar": (26_797_914, 3_827_751_168),
    "wide_resnet16_4_cifar": (2_748_890, 392_612_352),
    "wide_resnet16_8_cifar": (10_961_370, 1_548_145_664),
    "wide_resnet16_10_cifar": (17_116_634, 2_412_173_568),
    "wide_resnet52_1_cifar": (758_362, 111_592_064),
    "wide_resnet50_2": (68_883_240, 11_398_021_120),
    "wide_resnet101_2": (126_886_696, 22_753_050_624),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_layer_table(name, counted):
    assert counted(name) == COUNTS[name]


@pytest.mark.parametrize("block", ["l1", "l3", "l4"])
def test_depth_of_a_block_leaves_the_cost_of_the_network_as_it_is(block, counted):
    assert counted(f"wide_resnet40_2_{block}_cifar") == COUNTS["wide_resnet40_2_cifar"]


@pytest.mark.parametrize("depth", [50])
def test_answers_equal_torchvision(depth, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(f"wide_resnet{depth}_2", num_classes=10)
    peer = getattr(torchvision.models, f"wide_resnet{depth}_2")(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


def test_answers_equal_pytorchcv(assert_same_answers):
    wrn_cifar = pytest.importorskip("pytorchcv.models.wrn_cifar")
    ours = create_model("wide_resnet16_4_cifar", widen=2)
    peer = wrn_cifar.get_wrn_cifar(num_classes=10, blocks=16, width_factor=2)
    paths = [("features.init_block", "stages.0.0"), ("output", "classifier")]
    paths += [("features.post_activ.bn", "head.0")]
    for s in range(3):
        for i in range(2):
            theirs = f"features.stage{s + 1}.unit{i + 1}"
            mine = f"stages.{s}.{i + 1 if s == 0 else i}"
            paths += [
                (f"{theirs}.body.conv1.bn", f"{mine}.start.0"),
                (f"{theirs}.body.conv1.conv", f"{mine}.residue.0"),
                (f"{theirs}.body.conv2.bn", f"{mine}.residue.1.0"),
                (f"{theirs}.body.conv2.conv", f"{mine}.residue.1.3"),
                (f"{theirs}.identity_conv", f"{mine}.shortcut"),
            ]
    assert_same_answers(ours, peer, paths, size=32)


def test_the_first_layer_is_not_widened():
    narrow, wide = (create_model("wide_resnet16_4_cifar", widen=k) for k in (1, 3))
    assert narrow.stages[0][0].out_channels == wide.stages[0][0].out_channels == 16
    assert wide.classifier.in_features == 3 * narrow.classifier.in_features


def test_dropout_stands_in_every_unit_with_the_share_of_its_name():
    model = create_model("wide_resnet16_4_dropout_cifar", widen=1)
    shares = [m.p for m in model.modules() if type(m).__name__ == "Dropout"]
    assert shares == [0.3] * 6


@pytest.mark.parametrize(("depth", "kernels"), [(27, (3, 3)), (4, (3, 3)), (28, (3, 3, 3))])
def test_other_depths_are_refused(depth, kernels):
    wanted = rf"depth must be {3 * len(kernels)} n \+ 4 with .* got {depth}"
    with pytest.raises(UsageError, match=wanted):
        create_model("wide_resnet28_10_cifar", depth=depth, kernels=kernels)


@pytest.mark.parametrize("kernels", [(), (2, 3)])
def test_kernels_without_a_middle_are_refused(kernels):
    with pytest.raises(UsageError, match="kernels must be odd and at least one"):
        create_model("wide_resnet28_10_cifar", kernels=kernels)
