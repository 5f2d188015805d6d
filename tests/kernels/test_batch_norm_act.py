import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convatlas.kernels import batch_norm_act, enabled

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}
SHAPES = [(2, 16, 5, 7), (3, 24, 9, 9), (2, 5, 3, 3), (4, 96, 20, 20), (2, 960, 5, 5)]


def inputs(shape, residual=False, dtype=torch.float32):
    channels = shape[1]
    x = (torch.randn(shape) * 2 + 3).to(dtype).to(memory_format=torch.channels_last)
    extra = torch.randn(shape).to(dtype).to(memory_format=torch.channels_last)
    given = [x, torch.rand(channels) + 0.5, torch.randn(channels)]
    given += [extra] if residual else []
    return [t.requires_grad_() for t in given]


def statistics(channels):
    return torch.randn(channels), torch.rand(channels) + 0.5


def by_torch(given, mean, var, act, training, momentum, eps):
    """The same layer by layer in float64."""
    x, weight, bias, *extra = given
    y = F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)
    return ACTIVATIONS[act](y + extra[0] if extra else y)


def is_ours(y):
    return "batchnormact" in y.grad_fn.name().lower().replace("_", "")


def run(given, mean, var, act, training, momentum=0.3, eps=1e-3):
    x, weight, bias, *extra = given
    return batch_norm_act(
        x,
        mean,
        var,
        weight,
        bias,
        training=training,
        momentum=momentum,
        eps=eps,
        act=act,
        residual=extra[0] if extra else None,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("residual", [False, True])
def test_equals_the_layers_one_by_one_in_float64(shape, act, training, residual, relative_error):
    given, (mean, var) = inputs(shape, residual), statistics(shape[1])
    wide = [t.detach().double().requires_grad_() for t in given]
    mean64, var64 = mean.double(), var.double()
    y = run(given, mean, var, act, training)
    expected = by_torch(wide, mean64, var64, act, training, 0.3, 1e-3)
    assert is_ours(y)
    dy = torch.randn_like(y)
    found = y, mean, var, *torch.autograd.grad(y, given, dy)
    expected = expected, mean64, var64, *torch.autograd.grad(expected, wide, dy.double())
    for ours, theirs in zip(found, expected, strict=True):
        assert relative_error(ours, theirs) < 1e-5


def test_variance_holds_where_the_mean_is_a_thousand_times_larger(relative_error):
    x = torch.randn(4, 32, 30, 30).to(memory_format=torch.channels_last) + 1000
    mean, var = torch.zeros(32), torch.zeros(32)
    batch_norm_act(x, mean, var, None, None, training=True, momentum=1.0)
    assert relative_error(var, x.double().var((0, 2, 3))) < 1e-4


def test_large_results_that_go_around_the_caches_are_the_same(relative_error):
    given, (mean, var) = inputs((2, 96, 112, 112)), statistics(96)
    wide = [t.detach().double() for t in given]
    expected = by_torch(wide, mean.double(), var.double(), "relu6", True, 0.3, 1e-3)
    assert relative_error(run(given, mean, var, "relu6", True), expected) < 1e-5


def test_parameters_and_statistics_may_be_missing():
    x = inputs((2, 16, 5, 5))[0]
    y = batch_norm_act(x, None, None, None, None, training=True, act="relu")
    torch.testing.assert_close(y, F.batch_norm(x, None, None, training=True).relu())
    y.sum().backward()
    assert x.grad is not None


def test_bfloat16_with_float32_parameters(relative_error):
    given, (mean, var) = inputs((2, 24, 9, 9), dtype=torch.bfloat16), statistics(24)
    wide = [t.detach().double() for t in given]
    y = run(given, mean, var, "relu", True)
    expected = by_torch(wide, mean.double(), var.double(), "relu", True, 0.3, 1e-3)
    assert is_ours(y)
    assert y.dtype == torch.bfloat16
    assert relative_error(y, expected) < 2**-7


def test_second_derivatives_are_torchs():
    def penalty(function):
        torch.manual_seed(1)
        given, (mean, var) = inputs((2, 16, 5, 5)), statistics(16)
        y = function(given, mean, var, "silu", True, 0.3, 1e-3)
        (slope,) = torch.autograd.grad(y.pow(2).sum(), given[0], create_graph=True)
        slope.pow(2).sum().backward()
        return given[1].grad

    torch.testing.assert_close(penalty(run), penalty(by_torch), rtol=1e-4, atol=1e-4)


def test_the_same_input_gives_the_same_bits():
    given, (mean, var) = inputs((4, 48, 30, 30)), statistics(48)
    y = run(given, mean, var, "relu6", True)
    dy = torch.randn_like(y)
    first, second = (torch.autograd.grad(y, given, dy, retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_the_kernels_do_not_know_is_left_to_torch():
    given, (mean, var) = inputs((2, 16, 5, 5)), statistics(16)
    with enabled(False):
        assert not is_ours(run(given, mean, var, "relu", True))
    planes = [given[0].detach().contiguous().requires_grad_(), *given[1:]]
    assert not is_ours(run(planes, mean, var, "relu", True))
    with pytest.raises(ValueError, match=r"act must be one of identity, .*, got 'gelu'"):
        run(given, mean, var, "gelu", True)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        batch_norm_act(torch.ones(1, 3, 1, 1), None, None, None, None, training=True)


@pytest.mark.slow
def test_the_operators_keep_torchs_rules():
    given = inputs((2, 16, 5, 5), residual=True)
    arguments = (*given, None, None, 1e-5, 0, 0.0, 6.0)
    torch.library.opcheck(torch.ops.convatlas.batch_norm_act.default, arguments)


@pytest.mark.slow
def test_compile_takes_the_operator_without_a_break():
    given, norm = inputs((2, 16, 5, 5)), nn.BatchNorm2d(16)

    def layer(x):
        return batch_norm_act(
            x,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=True,
            act="relu",
        )

    y = torch.compile(layer, fullgraph=True, backend="aot_eager")(given[0])
    y.sum().backward()
    plain = nn.BatchNorm2d(16)
    expected = plain(given[0]).relu()
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    expected.sum().backward()
    torch.testing.assert_close(norm.weight.grad, plain.weight.grad)
