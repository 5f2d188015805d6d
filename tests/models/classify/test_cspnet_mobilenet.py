import torch
from torch.nn import functional as F

from convatlas.models import create_model
from convatlas.models.classify.cspnet_mobilenet import CSPMobileNetV2


def test_counts_are_those_of_the_configuration_file(counted):
    assert counted("cspmobilenet_v2") == (2_514_400 + 27_024, 381_778_464)


def test_stage_equals_a_plain_second_computation():
    torch.manual_seed(0)
    model = CSPMobileNetV2(width=0.5).double().eval()
    stage, state = model.stages[1][0], model.stages[1][0].state_dict()
    for key, value in state.items():
        if key.endswith(("mean", "var")):
            value.uniform_(0.5, 1.5)

    def conv(path, x, stride=1):
        kernel = state[f"{path}.0.weight"]
        groups = x.shape[1] // kernel.shape[1]
        x = F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
        return F.batch_norm(x, state[f"{path}.1.running_mean"], state[f"{path}.1.running_var"])

    x = torch.randn(2, 24, 8, 8, dtype=torch.float64)
    y = conv("through.0.residue.1", conv("through.0.residue.0", x, 2).relu())
    inner = conv("through.1.residue.1", conv("through.1.residue.0", y).relu()).relu()
    assert inner.shape[1] == 2 * 3 * y.shape[1]
    y = y + conv("through.1.residue.2", inner)
    expected = torch.cat([y, conv("past", x, 2).relu()], 1)
    torch.testing.assert_close(stage(x), expected)


def test_blocks_that_change_the_channels_add_nothing():
    with torch.device("meta"):
        model = create_model("cspmobilenet_v2")
    adds = [[block.residual for block in stage[0].through] for stage in list(model.stages)[1:]]
    assert adds == [
        [False, True],
        [False, True, True, False, True, True, True],
        [False, True, True],
        [False, True, True, False],
    ]


def test_features_halve_five_times():
    with torch.device("meta"):
        model = create_model("cspmobilenet_v2", features_only=True)
    assert model.feature_strides == [2, 4, 8, 16, 32]
