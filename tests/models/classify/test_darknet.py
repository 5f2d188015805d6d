import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.darknet_resnet import DarknetResNet
from convatlas.models.classify.darknet_units import Overlap
from convatlas.pretrained.keys.darknet import timm_paths

COUNTS = {  # with norms; multiply-adds at 256 pixels, by the configuration files
    "darknet53": (41_574_216 + 35_712, 9_285_115_904),
    # Its file has the classifier before the pooling: 64 times as costly, and not as published.
    "darknet_resnet50": (22_735_016 + 45_440, 4_999_610_368 - 63 * 2048 * 1000),
    "darknet_resnext50": (22_191_784 + 60_544, 5_055_135_744),
    "darknet_resnet10": (5_241_000 + 3_968, 1_136_119_808),
    # Nine weights a pair of channels; each pooling quarters what the channels quadruple.
    "darknet_reference": (
        9 * (3 * 16 + 2 * 16**2 * (4**6 - 1) // 3) + 1_025_000 + 2 * (2**11 - 16),
        9 * (3 * 16 + 6 * 16 * 32 // 4) * 256**2 + 1_024_000,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_configuration_files(name, counted):
    assert counted(name) == COUNTS[name]


def test_darknet53_answers_as_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    peer = timm.create_model("darknet53", num_classes=7)
    ours = create_model("darknet53", num_classes=7, slope=0.01)
    assert_same_answers(ours, peer, timm_paths(ours))


def test_shortcut_has_no_weights_and_new_channels_stand_behind():
    x = torch.arange(18.0).view(1, 2, 3, 3)
    y = Overlap(2, 5, 2)(x)
    assert y.shape == (1, 5, 2, 2)
    assert y[0, 1].tolist() == [[9, 11], [15, 17]]
    assert y[0, 2:].abs().sum() == 0


@pytest.mark.parametrize("form", ["resnet10", "resnext50"])
def test_first_unit_of_a_stage_equals_a_plain_second_computation(form):
    torch.manual_seed(0)
    model = DarknetResNet(form=form, width=0.25).double().eval()
    unit, state = model.stages[2][0], model.stages[2][0].state_dict()
    for key, value in state.items():
        if key.endswith(("mean", "var")):
            value.uniform_(0.5, 1.5)
    x = torch.randn(2, state["residue.0.0.weight"].shape[1], 8, 8, dtype=torch.float64)
    y, convs = x, 2 if form == "resnet10" else 3
    for index in range(convs):
        kernel = state[f"residue.{index}.0.weight"]
        groups = y.shape[1] // kernel.shape[1]
        stride = 2 if index == convs - 2 else 1  # the first or the middle 3 x 3
        y = F.conv2d(y, kernel, stride=stride, padding=kernel.shape[-1] // 2, groups=groups)
        norm = [state[f"residue.{index}.1.{k}"] for k in ("running_mean", "running_var")]
        y = F.batch_norm(y, *norm)
        y = F.leaky_relu(y, 0.1) if index < convs - 1 else y
    y[:, : x.shape[1]] += x[:, :, ::2, ::2]
    torch.testing.assert_close(unit(x), F.leaky_relu(y, 0.1))
    assert form == "resnet10" or model.stages[2][0].residue[1][0].groups == 32


def test_stems_and_forms_are_checked():
    with pytest.raises(UsageError, match="form must be one of resnet10, resnet50, resnext50, got"):
        DarknetResNet(form="resnet18")
    with pytest.raises(UsageError, match="DarknetResNet: stem_stride must be one of 4, 2, 1"):
        DarknetResNet(stem_stride=3)
    with torch.device("meta"):
        strides = [
            create_model("darknet_resnet10", features_only=True, stem_stride=s).feature_strides
            for s in (4, 2, 1)
        ]
    assert strides == [[2, 4, 8, 16, 32], [2, 4, 8, 16], [1, 2, 4, 8]]
