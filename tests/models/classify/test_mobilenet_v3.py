import pytest
import torch
from torch.nn import functional as F

from convatlas.blocks import round_channels
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.pretrained.keys import mobilenet_v3 as keys


def test_the_head_of_the_first_printing_can_be_had(counted):
    bias = 1280  # pytorchcv, whose count this is, leaves it out
    assert counted("mobilenet_v3_small", head=1280) == (2_945_288 + bias, 56_913_856)


@pytest.mark.parametrize("form", ["large", "small"])
def test_answers_equal_torchvision(form, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(f"mobilenet_v3_{form}", num_classes=10)
    peer = getattr(torchvision.models, f"mobilenet_v3_{form}")(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("large", "mobilenetv3_large_100"),
        ("large_w0.75", "mobilenetv3_large_075"),
        ("small_w0.75", "mobilenetv3_small_075"),
    ],
)
def test_answers_equal_timm(name, theirs, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(f"mobilenet_v3_{name}", num_classes=10, norm_eps=1e-5)
    peer = timm.create_model(theirs, num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


# Of 64 pixels every map but the last is even, which TensorFlow pads at one side only.
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("large_minimalistic", "large_minimal_100"),
        ("small_minimalistic", "small_minimal_100"),
        ("small_w0.75", "small_075"),
    ],
)
def test_answers_with_padding_as_in_tensorflow_equal_timm(name, theirs, assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model(f"mobilenet_v3_{name}", num_classes=10, padding="same")
    peer = timm.create_model(f"tf_mobilenetv3_{theirs}", num_classes=10)
    assert_same_answers(ours, peer, keys.timm_paths(ours))


def test_a_gated_block_equals_a_plain_second_computation():
    torch.manual_seed(0)
    unit = create_model("mobilenet_v3_large", width=0.35, norm_eps=0.0).stages[4][1]
    unit = unit.double().eval()
    wide, channels = unit.project[0].in_channels, unit.project[0].out_channels
    x = torch.randn(2, channels, 9, 9, dtype=torch.float64)

    def swish(a):
        return a * (a + 3).clamp(0, 6) / 6

    y = swish(F.conv2d(x, unit.expand[0].weight))
    y = swish(F.conv2d(y, unit.filter[0].weight, padding=2, groups=wide))
    hidden = unit.excite.reduce(y.mean((2, 3))).clamp(min=0)
    assert hidden.shape == (2, round_channels(wide / 4))
    y = y * ((unit.excite.expand(hidden) + 3).clamp(0, 6) / 6)[:, :, None, None]
    torch.testing.assert_close(unit(x), x + F.conv2d(y, unit.project[0].weight))


def test_minimalistic_has_neither_gates_nor_wide_filters_nor_h_swish():
    model = create_model("mobilenet_v3_large_minimalistic", width=0.35)
    kinds = {type(module).__name__ for module in model.modules()}
    assert not kinds & {"SqueezeExcite", "Hardswish"}
    kernels = {m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3)}


def test_the_head_grows_with_the_width_and_never_shrinks():
    sizes = [
        create_model("mobilenet_v3_small", width=w, num_classes=2).classifier[0].out_features
        for w in (0.35, 1.0, 1.25)
    ]
    assert sizes == [1024, 1024, 1280]


def test_another_form_is_refused():
    with pytest.raises(UsageError, match="form must be one of large, small, got medium"):
        create_model("mobilenet_v3_large", form="medium")
