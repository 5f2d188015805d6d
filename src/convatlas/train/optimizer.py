"""From a recipe to an optimiser: which weights decay, and which move more slowly."""

from collections.abc import Collection, Sequence
from typing import Any

from torch import nn, optim

from convatlas.train.recipe import Recipe
from convatlas.train.rmsprop import EPS as RMSPROP_EPS
from convatlas.train.rmsprop import RMSPropTF
from convatlas.train.weight_decay import Kind, kinds_of_parameters

Kinds = Sequence[tuple[nn.Parameter, Kind]]

ADAM_EPS = 1e-8  # torch's


def build_optimizer(
    model: nn.Module, recipe: Recipe, pretrained_names: Collection[str] = ()
) -> optim.Optimizer:
    """Build it, with a group of parameters for each share of the weight decay.

    Args:
        pretrained_names: names of parameters that were trained before. Each group carries its
            `lr_scale`, the fraction of the recipe's rate that the loop gives it.
    """
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    groups = parameter_groups(model, recipe, names, pretrained_names)
    if recipe.optimizer == "sgd":
        nesterov = recipe.nesterov
        return optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov)
    if recipe.optimizer == "rmsprop":
        return RMSPropTF(
            groups,
            lr=recipe.lr,
            decay=recipe.squares_decay,
            eps=recipe.eps or RMSPROP_EPS,
            momentum=recipe.momentum,
        )
    adam = optim.Adam if recipe.optimizer == "adam" else optim.AdamW
    return adam(groups, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps or ADAM_EPS)


def parameter_groups(
    model: nn.Module, recipe: Recipe, names: Collection[str], pretrained_names: Collection[str]
) -> list[dict[str, Any]]:
    """Return groups of the parameters with these names, as torch's optimisers take them."""
    known: list[tuple[nn.Parameter, Kind]] = []
    fresh: list[tuple[nn.Parameter, Kind]] = []
    for name, parameter, kind in kinds_of_parameters(model):
        if name in names:
            (known if name in pretrained_names else fresh).append((parameter, kind))
    return [*_groups(fresh, recipe, 1.0), *_groups(known, recipe, recipe.pretrained_lr_fraction)]


def _groups(params: Kinds, recipe: Recipe, lr_scale: float) -> list[dict[str, Any]]:
    shares: dict[Kind, float] = {
        "weights": 1.0,
        "depthwise": recipe.depthwise_decay,
        "norms": recipe.norm_decay,
        "others": 0.0,
    }
    groups = [
        {
            "params": [p for p, kind in params if shares[kind] == share],
            "weight_decay": share * recipe.weight_decay,
            "lr_scale": lr_scale,
        }
        for share in dict.fromkeys(shares.values())
    ]
    return [group for group in groups if group["params"]]
