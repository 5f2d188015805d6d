import pytest
import torch
import torch.nn.functional as F

from convatlas import cost
from convatlas.ops import (
    ChannelLayerNorm,
    CumulativeLayerNorm,
    GlobalLayerNorm,
    channel_layer_norm,
    cumulative_layer_norm,
    global_layer_norm,
)

NORMS = [channel_layer_norm, global_layer_norm, cumulative_layer_norm]


def normalised(values, gain, offset, seen, eps):
    """The formula: mean and population variance of what is seen."""
    mean = seen.sum() / seen.numel()
    variance = (seen - mean).square().sum() / seen.numel()
    return gain * (values - mean) / (variance + eps).sqrt() + offset


def test_each_equals_its_formula_one_step_at_a_time(draw):
    x, gain, offset = draw(2, 3, 5).detach(), draw(3).detach(), draw(3).detach()
    for n in range(2):
        for t in range(5):
            for norm, seen, eps in (
                (channel_layer_norm, x[n, :, t], 1e-5),
                (global_layer_norm, x[n], 1e-8),
                (cumulative_layer_norm, x[n, :, : t + 1], 1e-8),
            ):
                expected = normalised(x[n, :, t], gain, offset, seen, eps)
                torch.testing.assert_close(norm(x, gain, offset)[n, :, t], expected)


def test_global_is_group_norm_with_one_group(draw):
    x, gain, offset = draw(2, 3, 4, 5), draw(3), draw(3)
    expected = F.group_norm(x, 1, gain, offset, eps=1e-8)
    torch.testing.assert_close(global_layer_norm(x, gain, offset), expected)


@pytest.mark.parametrize(
    ("norm", "causal"),
    [(channel_layer_norm, True), (cumulative_layer_norm, True), (global_layer_norm, False)],
)
def test_who_sees_the_future(draw, norm, causal):
    x, gain, offset = draw(1, 3, 6).detach(), draw(3), draw(3)
    changed = x.clone()
    changed[..., 4] += 1
    same = norm(changed, gain, offset)[..., :4] == norm(x, gain, offset)[..., :4]
    assert same.all().item() is causal


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_and_no_cost(draw, norm):
    inputs = draw(2, 3, 4), draw(3), draw(3)
    assert torch.autograd.gradcheck(norm, inputs)
    assert cost.macs(norm, *inputs) == 0


def test_a_constant_far_from_zero_leaves_no_nan():
    x = torch.full((1, 4, 50), 1000.1)
    got = cumulative_layer_norm(x, torch.ones(4), torch.zeros(4))
    assert got.isfinite().all()


@pytest.mark.parametrize(
    ("layer", "norm"),
    [
        (ChannelLayerNorm, channel_layer_norm),
        (GlobalLayerNorm, global_layer_norm),
        (CumulativeLayerNorm, cumulative_layer_norm),
    ],
)
def test_modules_give_the_functions(layer, norm):
    x = torch.randn(2, 3, 5)
    made = layer(3, eps=1e-3)
    torch.testing.assert_close(made(x), norm(x, torch.ones(3), torch.zeros(3), eps=1e-3))
    assert [tuple(p.shape) for p in made.parameters()] == [(3,), (3,)]


@pytest.mark.parametrize("norm", NORMS)
def test_gains_for_other_channels_are_refused(norm):
    with pytest.raises(ValueError, match=r"one number for each of 3 channels, got \(2,\)"):
        norm(torch.zeros(1, 3, 4), torch.ones(2), torch.zeros(3))


def test_cumulative_needs_one_axis_of_time():
    with pytest.raises(ValueError, match=r"must be \(n, c, t\), got \(1, 3, 4, 4\)"):
        cumulative_layer_norm(torch.zeros(1, 3, 4, 4), torch.ones(3), torch.zeros(3))
