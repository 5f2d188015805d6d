"""From a recipe to an optimiser: which weights decay and which do not."""

from torch import nn, optim

from convatlas.train.recipe import Recipe


def build_optimizer(model: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """Matrices and filters decay; biases, scales and shifts (one axis or none) do not.

    Decay would pull a scale towards zero and so change the function, not its smoothness.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    return optim.AdamW(groups, lr=recipe.lr)
