import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.models import create_model
from convatlas.models.classify.cspnet import CSPResNet
from convatlas.pretrained.keys.cspnet import timm_paths

COUNTS = {  # with norms; multiply-adds at 256 pixels, by the configuration files
    "cspresnet50": (21_567_656 + 40_192, 4_483_686_400),
    "cspresnext50": (20_500_136 + 57_344, 3_964_616_704),
    "cspdarknet53": (27_606_856 + 35_328, 6_533_652_480),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_configuration_files(name, counted):
    assert counted(name) == COUNTS[name] == counted(f"{name}_mish")


def test_cspdarknet53_answers_as_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    peer = timm.create_model("cspdarknet53", num_classes=7)
    ours = create_model("cspdarknet53", num_classes=7, slope=0.01)
    assert_same_answers(ours, peer, timm_paths(ours))


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("stage", [1, 2])
def test_stage_equals_a_plain_second_computation(grouped, stage):
    torch.manual_seed(0)
    model = CSPResNet(grouped=grouped, width=0.25).double().eval()
    block = model.stages[stage][-1]
    state = block.state_dict()
    for key, value in state.items():
        if key.endswith(("mean", "var")):
            value.uniform_(0.5, 1.5)

    def conv(path, x, linear=False):
        kernel = state[f"{path}.0.weight"]
        groups = x.shape[1] // kernel.shape[1]
        x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=groups)
        x = F.batch_norm(x, state[f"{path}.1.running_mean"], state[f"{path}.1.running_var"])
        return x if linear else F.leaky_relu(x, 0.1)

    x = torch.randn(2, state["split.0.weight"].shape[1], 4, 4, dtype=torch.float64)
    # The first stage's parts have 128 and 64 channels, the second's 256 each, and are linear.
    past, y = conv("split", x, linear=stage == 2).split([32, 16] if stage == 1 else [64, 64], 1)
    for unit in range(3):
        path = f"through.{unit}.residue"
        added = conv(f"{path}.2", conv(f"{path}.1", conv(f"{path}.0", y)), linear=True)
        added[:, : y.shape[1]] += y
        y = F.leaky_relu(added, 0.1)
    expected = conv("mix", torch.cat([past, conv("through.3", y)], 1))
    torch.testing.assert_close(block(x), expected)


def test_groups_are_thirty_two_also_where_the_size_is_halved():
    with torch.device("meta"):
        model = create_model("cspresnext50")
    groups = [m.groups for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert groups == [32] * (3 + 3 + 5 + 2 + 3)


def test_mish_and_slope_are_the_activation_everywhere():
    for name in COUNTS:
        with torch.device("meta"):
            plain, mish = create_model(name), create_model(f"{name}_mish")
        assert not any(isinstance(m, nn.LeakyReLU) for m in mish.modules())
        assert any(isinstance(m, nn.Mish) for m in mish.modules())
        slopes = {m.negative_slope for m in plain.modules() if isinstance(m, nn.LeakyReLU)}
        assert slopes == {0.1}


def test_features_have_the_strides_of_a_detector():
    with torch.device("meta"):
        darknet = create_model("cspdarknet53", features_only=True)
        resnet = create_model("cspresnet50", features_only=True, stem_stride=2)
    assert darknet.feature_strides == [1, 2, 4, 8, 16, 32]
    assert darknet.feature_channels == [32, 64, 128, 256, 512, 1024]
    assert resnet.feature_strides == [2, 4, 8, 16]
