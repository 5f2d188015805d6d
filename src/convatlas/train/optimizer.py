"""From a recipe to an optimiser: which weights decay, and which move more slowly."""

from collections.abc import Collection, Iterable

from torch import nn, optim

from convatlas.train.recipe import Recipe


def build_optimizer(
    model: nn.Module, recipe: Recipe, pretrained_names: Collection[str] = ()
) -> optim.Optimizer:
    """Build it: matrices and filters decay; biases, scales and shifts (up to one axis) do not.

    Decay would pull a scale towards zero and so change the function, not its smoothness.

    Args:
        pretrained_names: names of parameters that were trained before. Each group carries its
            `lr_scale`, the fraction of the recipe's rate that the loop gives it.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    known = [p for name, p in named if name in pretrained_names]
    fresh = [p for name, p in named if name not in pretrained_names]
    groups = [*_groups(fresh, recipe, 1.0), *_groups(known, recipe, recipe.pretrained_lr_fraction)]
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    return optim.AdamW(groups, lr=recipe.lr)


def _groups(params: Iterable[nn.Parameter], recipe: Recipe, lr_scale: float) -> list[dict]:
    params = list(params)
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [{**group, "lr_scale": lr_scale} for group in groups if group["params"]]
