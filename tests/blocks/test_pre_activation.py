import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.blocks import PreActUnit, conv_without_bias


def norm_relu(x, path, state):
    mean, var, weight, bias = (
        state[f"{path}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")
    )
    scaled = (x - mean.view(1, -1, 1, 1)) / (var.view(1, -1, 1, 1) + 1e-5).sqrt()
    return (scaled * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)).clamp(min=0)


def unit(out, stride, **options):
    torch.manual_seed(0)
    convs = [conv_without_bias(4, out, 3, stride=stride), conv_without_bias(out, out, 3)]
    changes = stride > 1 or out != 4
    shortcut = conv_without_bias(4, out, 1, stride=stride) if changes else nn.Identity()
    model = PreActUnit(convs, shortcut=shortcut, **options).double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("activated", [False, True])
@pytest.mark.parametrize(("out", "stride"), [(4, 1), (6, 1), (4, 2)])
def test_answers_equal_the_equation_of_the_paper(out, stride, activated):
    model = unit(out, stride, activated=activated)
    state, x = model.state_dict(), torch.randn(2, 4, 7, 7, dtype=torch.float64)
    y = x if activated else norm_relu(x, "start.0", state)
    residue = F.conv2d(y, state["residue.0.weight"], stride=stride, padding=1)
    residue = norm_relu(residue, "residue.1.0", state)
    residue = F.conv2d(residue, state["residue.1.3.weight"], padding=1)
    kept = x
    if "shortcut.weight" in state:
        kept = F.conv2d(y, state["shortcut.weight"], stride=stride)
    torch.testing.assert_close(model(x), kept + residue)
    assert (model(x) < 0).any()  # nothing stands after the sum


def test_dropout_acts_between_the_convolutions_in_training_only():
    model = unit(4, 1, dropout=0.5)
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)
    seen = []
    model.residue[1][3].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.train()(torch.randn(8, 4, 32, 32, dtype=torch.float64))
    assert (seen[0] == 0).double().mean() > 0.7  # the ReLU alone leaves half


def test_a_gate_scales_the_residue_and_not_the_shortcut():
    plain, gated = unit(4, 1), unit(4, 1, gate=nn.Threshold(1e9, 0.0))
    x = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    assert not torch.equal(plain(x), x)
    torch.testing.assert_close(gated(x), x, rtol=0, atol=0)
