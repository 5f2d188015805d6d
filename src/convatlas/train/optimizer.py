"""From a recipe to an optimiser: which weights decay, and which move more slowly."""

from collections.abc import Collection, Sequence

from torch import nn, optim

from convatlas.train.recipe import Recipe
from convatlas.train.weight_decay import Kind, kinds_of_parameters

Kinds = Sequence[tuple[nn.Parameter, Kind]]


def build_optimizer(
    model: nn.Module, recipe: Recipe, pretrained_names: Collection[str] = ()
) -> optim.Optimizer:
    """Build it, with a group of parameters for each share of the weight decay.

    Args:
        pretrained_names: names of parameters that were trained before. Each group carries its
            `lr_scale`, the fraction of the recipe's rate that the loop gives it.
    """
    learning = [each for each in kinds_of_parameters(model) if each[1].requires_grad]
    known: list[tuple[nn.Parameter, Kind]] = []
    fresh: list[tuple[nn.Parameter, Kind]] = []
    for name, parameter, kind in learning:
        (known if name in pretrained_names else fresh).append((parameter, kind))
    groups = [*_groups(fresh, recipe, 1.0), *_groups(known, recipe, recipe.pretrained_lr_fraction)]
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    return optim.AdamW(groups, lr=recipe.lr)


def _groups(params: Kinds, recipe: Recipe, lr_scale: float) -> list[dict]:
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
