import pytest
import torch
from torch import nn

from convatlas.train.optimizer import build_optimizer
from convatlas.train.recipe import Recipe
from convatlas.train.rmsprop import RMSPropTF

GRADIENTS = (0.5, -2.0, 0.1, 3.0)


def plainly(weight, rates, *, decay, eps, momentum, weight_decay):
    """The formula of the docstring, number by number."""
    squares, speed, path = 1.0, 0.0, []
    for gradient, rate in zip(GRADIENTS, rates, strict=True):
        g = gradient + weight_decay * weight
        squares = decay * squares + (1 - decay) * g * g
        speed = momentum * speed + rate * g / (squares + eps) ** 0.5
        weight -= speed
        path.append(weight)
    return path


def walk(optimizer, weight, rates):
    path = []
    for gradient, rate in zip(GRADIENTS, rates, strict=True):
        weight.grad = torch.full_like(weight, gradient)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        path.append(weight.item())
    return path


@pytest.mark.parametrize("eps", [1.0, 1e-3])
def test_it_is_the_plain_formula_with_epsilon_inside_the_root(eps):
    options = {"decay": 0.9, "eps": eps, "momentum": 0.9, "weight_decay": 0.01}
    rates = (0.1, 0.1, 0.01, 0.01)  # the speed keeps steps of the larger rate
    weight = nn.Parameter(torch.tensor([1.5], dtype=torch.float64))
    found = walk(RMSPropTF([weight], lr=0.1, **options), weight, rates)
    assert found == pytest.approx(plainly(1.5, rates, **options), rel=1e-12)


def test_it_steps_as_timms():
    timm = pytest.importorskip("timm.optim")
    options = {"lr": 0.05, "eps": 1e-3, "momentum": 0.9, "weight_decay": 0.01}
    ours = nn.Parameter(torch.tensor([1.5], dtype=torch.float64))
    theirs = nn.Parameter(ours.detach().clone())
    peer = timm.RMSpropTF([theirs], alpha=0.9, **options)
    rates = (0.05, 0.05, 0.02, 0.02)
    found = walk(RMSPropTF([ours], decay=0.9, **options), ours, rates)
    assert found == pytest.approx(walk(peer, theirs, rates), rel=1e-12)


def test_a_recipe_builds_each_optimizer_with_its_options():
    layer = nn.Linear(2, 2)
    built = build_optimizer(layer, Recipe(optimizer="rmsprop", eps=1.0, squares_decay=0.8))
    assert isinstance(built, RMSPropTF)
    assert (built.defaults["eps"], built.defaults["decay"]) == (1.0, 0.8)
    plain = build_optimizer(layer, Recipe(optimizer="sgd", nesterov=False))
    assert not plain.defaults["nesterov"]
    adam = build_optimizer(layer, Recipe(optimizer="adam", betas=(0.5, 0.9)))
    assert type(adam) is torch.optim.Adam
    assert (adam.defaults["betas"], adam.defaults["eps"]) == ((0.5, 0.9), 1e-8)
