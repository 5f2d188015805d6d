import pytest
import torch
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.resnet_cifar import ResNetCifar

COUNTS = {  # option A, by the paper's layer table
    20: (269_722, 40_551_040),
    32: (464_154, 68_862_592),
    44: (658_586, 97_174_144),
    56: (853_018, 125_485_696),
    110: (1_727_962, 252_887_680),
    1202: (19_421_274, 2_829_238_912),
}


@pytest.mark.parametrize("depth", COUNTS)
def test_counts_are_those_of_option_a(depth, counted):
    assert counted(f"resnet{depth}_cifar") == COUNTS[depth]


@pytest.mark.parametrize("size", [32, 15])
def test_answers_equal_a_plain_second_computation(size):
    torch.manual_seed(0)
    model = create_model("resnet20_cifar").double().eval()
    for name, buffer in model.named_buffers():
        if name.endswith(("mean", "var")):
            buffer.uniform_(0.5, 1.5)
    state = model.state_dict()
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    torch.testing.assert_close(model(x), _plain_resnet(state, x, repeats=3))


def _plain_resnet(state, x, *, repeats):
    def conv_norm(path, x, stride=1):
        x = F.conv2d(x, state[f"{path}.0.weight"], stride=stride, padding=1)
        mean, var, weight, bias = (
            state[f"{path}.1.{k}"].view(1, -1, 1, 1)
            for k in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    x = conv_norm("stages.0.0", x).relu()
    for stage in range(3):
        for unit in range(repeats):
            path = f"stages.{stage}.{unit + 1 if stage == 0 else unit}.residue"
            stride = 2 if stage > 0 and unit == 0 else 1
            y = conv_norm(f"{path}.1", conv_norm(f"{path}.0", x, stride).relu())
            if stride == 2:
                kept = torch.zeros_like(y)
                before = x.shape[1] // 2
                for row in range(y.shape[2]):
                    for column in range(y.shape[3]):
                        pixel = x[:, :, 2 * row, 2 * column]
                        kept[:, before : before + x.shape[1], row, column] = pixel
                x = kept
            x = (x + y).relu()
    return x.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]


def test_equal_shapes_are_passed_on_untouched():
    unit = ResNetCifar.tiny()[0].stages[0][1]
    assert isinstance(unit.shortcut, torch.nn.Identity)


@pytest.mark.parametrize("depth", [2, 21, 165])
def test_other_depths_are_refused(depth):
    with pytest.raises(UsageError, match=f"depth must be 6 n \\+ 2, got {depth}"):
        create_model("resnet20_cifar", depth=depth)
