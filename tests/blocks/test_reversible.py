"""The recomputing backward pass is held against plain autograd of the same weights."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from convatlas.blocks.reversible import Coupling, ReversibleSequence
from convatlas.errors import UsageError


def residue(channels, *, grow=1, stride=1, dropout=0.0):
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
        nn.Dropout(dropout),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, grow * channels, 1),
    )


def sequence(depth=4, *, dtype=torch.float64, dropout=0.0, blocks=()):
    """Couplings of 4 channels a half; the numbers in `blocks` down-sample."""
    torch.manual_seed(0)
    couplings, channels = [], 4
    for number in range(depth):
        block = 2 if number in blocks else 1
        added = residue(channels, grow=block**2, stride=block, dropout=dropout)
        couplings.append(Coupling(added, block=block))
        channels *= block**2
    return ReversibleSequence(*couplings).to(dtype)


def image(dtype=torch.float64, channels=8):
    torch.manual_seed(1)
    return torch.randn(3, channels, 8, 8, dtype=dtype)


def set_recompute(model, recompute):
    for module in model.modules():
        if isinstance(module, ReversibleSequence):
            module.recompute = recompute


def step(model, x, *, recompute, seed=2):
    """Output, gradients by name and buffers after one forward and backward pass of a copy."""
    model = copy.deepcopy(model)
    set_recompute(model, recompute)
    x = x.detach().clone().requires_grad_(x.requires_grad)
    torch.manual_seed(seed)
    y = model(x)
    torch.manual_seed(3)
    (y * torch.randn_like(y)).sum().backward()
    grads = {name: p.grad for name, p in model.named_parameters()} | {"x": x.grad}
    return y.detach(), grads, dict(model.named_buffers())


def assert_equal_steps(model, x, tolerance):
    y, grads, buffers = step(model, x, recompute=True)
    expected_y, expected_grads, expected_buffers = step(model, x, recompute=False)
    assert torch.equal(y, expected_y)
    for name, expected in expected_grads.items():
        if expected is None:
            assert grads[name] is None, name
        else:
            error = (grads[name] - expected).norm() / expected.norm()
            assert error <= tolerance, (name, error)
    for name, expected in expected_buffers.items():
        assert torch.equal(buffers[name], expected), name
    return grads


TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("blocks", [(), (0, 2)])
def test_gradients_are_those_of_plain_autograd_and_statistics_move_once(dtype, blocks):
    model = sequence(6, dtype=dtype, blocks=blocks)
    assert_equal_steps(model, image(dtype).requires_grad_(), TOLERANCE[dtype])


@pytest.mark.parametrize("blocks", [(), (1,)])
def test_input_is_restored_from_the_output(blocks):
    model = sequence(8, blocks=blocks)
    model(image())  # so that the statistics are not those of the start
    model.eval()
    x = image()
    torch.testing.assert_close(model.inverse(model(x)), x, rtol=0, atol=1e-10)


def test_two_couplings_are_one_unit_of_the_paper():
    model = sequence(2).eval()
    f, g = (coupling.residue for coupling in model)
    x1, x2 = image().chunk(2, 1)
    y1 = x1 + f(x2)
    y2 = x2 + g(y1)
    torch.testing.assert_close(model(image()), torch.cat([y1, y2], 1))


def test_numeric_derivatives():
    model = sequence(2)
    x = torch.randn(2, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x), (x,))


@pytest.mark.parametrize("depth", [2, 16])
def test_nothing_is_kept_but_the_output_and_the_weights(depth):
    model, kept = sequence(depth), []
    weights = {p.data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = model(image().requires_grad_())
    assert [t.data_ptr() for t in kept if t.data_ptr() not in weights] == [y.data_ptr()]


def test_dropout_draws_the_same_again_and_leaves_the_generator_alone():
    model = sequence(4, dropout=0.5)
    assert_equal_steps(model, image().requires_grad_(), 1e-10)
    torch.manual_seed(0)
    y = model(image().requires_grad_())
    torch.rand(5)
    before = torch.get_rng_state()
    y.sum().backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_inside_other_layers():
    model = nn.Sequential(
        nn.Conv2d(8, 8, 3),
        sequence(3),
        nn.Conv2d(8, 8, 1),
        nn.ReLU(inplace=True),
        sequence(2),
    )
    assert_equal_steps(model.double(), image(), 1e-10)


def test_used_twice_as_a_whole_and_in_parts():
    inner = sequence(2)
    assert_equal_steps(nn.Sequential(inner, nn.Tanh(), inner), image().requires_grad_(), 1e-10)
    first, second = inner
    twice = ReversibleSequence(first, second, first, Coupling(second.residue))
    assert_equal_steps(twice, image().requires_grad_(), 1e-10)


def test_frozen_weights_get_no_gradient_and_the_others_theirs():
    model = sequence(4)
    for parameter in [*model[0].parameters(), model[2].residue[2].weight]:
        parameter.requires_grad_(False)
    for x in (image(), image().requires_grad_()):
        grads = assert_equal_steps(model, x, 1e-10)
        assert grads["0.residue.2.weight"] is None
        assert grads["2.residue.2.weight"] is None
        assert grads["2.residue.0.weight"] is not None


def test_frozen_batch_norm_keeps_its_statistics():
    model = sequence(4)
    model(image())
    model[1].residue[0].eval()
    assert_equal_steps(model, image().requires_grad_(), 1e-10)


def test_mode_of_the_forward_pass_counts_and_the_present_one_stays():
    model = sequence(3)
    _, expected, _ = step(model, image().requires_grad_(), recompute=True)
    x = image().requires_grad_()
    y = model(x)
    model.eval()
    torch.manual_seed(3)
    (y * torch.randn_like(y)).sum().backward()
    torch.testing.assert_close(x.grad, expected["x"])
    assert not any(module.training for module in model.modules())


def test_autocast_keeps_the_halves_in_float32_and_is_entered_again():
    model = nn.Sequential(nn.Conv2d(8, 8, 3), sequence(6, dtype=torch.float32))
    x = image(torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.float32
    torch.manual_seed(3)
    g = torch.randn_like(y)
    (y * g).sum().backward()  # outside of autocast, as users do
    plain = copy.deepcopy(model)
    set_recompute(plain, False)
    plain.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = plain(image(torch.float32))
    (expected * g).sum().backward()
    torch.testing.assert_close(y, expected)
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert (p.grad - q.grad).norm() <= 0.02 * q.grad.norm()  # bfloat16 has 8 bits


def test_autocast_leaves_no_weights_without_gradient_behind():
    """One weight in a sequence and outside of it, within one autocast region."""
    model = sequence(1, dtype=torch.float32)
    conv = model[0].residue[2]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(image(torch.float32))
        z = conv(image(torch.float32, channels=4))
    y.sum().backward(retain_graph=True)
    before = conv.weight.grad.clone()
    z.sum().backward()
    assert (conv.weight.grad - before).abs().max() > 0


@pytest.mark.parametrize("mode", ["evaluation", "no gradients", "nothing to train"])
def test_elsewhere_the_plain_way_is_taken(mode, monkeypatch):
    monkeypatch.setattr("convatlas.blocks.reversible._Recomputed", None)
    model = sequence(2)
    if mode == "evaluation":
        model.eval()(image().requires_grad_()).sum().backward()
        assert all(p.grad is not None for p in model.parameters())
    elif mode == "no gradients":
        with torch.no_grad():
            model(image())
    else:
        model.requires_grad_(False)(image())


def test_weights_from_outside_get_the_gradient():
    model = sequence(2)
    weights = {name: (2 * p).detach().requires_grad_() for name, p in model.named_parameters()}
    functional_call(model, weights, (image(),)).square().sum().backward()
    got = {name: p.grad for name, p in weights.items()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    set_recompute(model, False)
    model(image()).square().sum().backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad)


def test_weights_changed_before_the_backward_pass_are_noticed():
    model = sequence(2)
    y = model(image())
    with torch.no_grad():
        model[0].residue[2].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_second_derivatives_are_refused():
    x = image().requires_grad_()
    y = sequence(2)(x).sum()
    with pytest.raises(UsageError, match=r"create_graph=True\) must be taken with recompute=False"):
        torch.autograd.grad(y, x, create_graph=True)


def test_backward_twice_over_a_kept_graph_adds_up():
    model = sequence(3)
    y = model(image())
    y.sum().backward(retain_graph=True)
    once = [p.grad.clone() for p in model.parameters()]
    y.sum().backward()
    for p, grad in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * grad)


@pytest.mark.parametrize("blocks", [(), (0, 1, 2)])
def test_backward_pass_changes_neither_the_output_nor_its_gradient(blocks):
    """Restored values are written over in place; what others hold must not be."""
    x = image()[:1, :2].requires_grad_()
    couplings = []
    for number in range(6):  # down to one pixel of 128 channels, where a view needs no copy
        block, channels = (2 if number in blocks else 1), 4 ** sum(b < number for b in blocks)
        conv = nn.Conv2d(channels, block**2 * channels, block, block)
        couplings.append(Coupling(conv, block=block))
    y = ReversibleSequence(*couplings).double()(x)
    gradient = torch.randn_like(y)
    held = y.detach(), y.detach().clone(), gradient, gradient.clone(), x.detach().clone()
    y.backward(gradient)
    assert torch.equal(held[0], held[1])
    assert torch.equal(held[2], held[3])
    assert torch.equal(x.detach(), held[4])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns about itself
def test_compiled_training_takes_the_plain_way():
    model = sequence(3)
    y, grads, _ = step(model, image().requires_grad_(), recompute=True)
    compiled = copy.deepcopy(model)
    x = image().requires_grad_()
    got = torch.compile(compiled, fullgraph=True, backend="aot_eager")(x)
    torch.manual_seed(3)
    (got * torch.randn_like(got)).sum().backward()
    torch.testing.assert_close(got, y)
    torch.testing.assert_close(x.grad, grads["x"])
