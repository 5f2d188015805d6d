import torch
from torch import nn

from convatlas.train.optimizer import build_optimizer
from convatlas.train.recipe import Recipe


def test_only_filters_and_matrices_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    groups = build_optimizer(model, Recipe(weight_decay=0.3)).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(model[0].weight), id(model[3].weight)}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))


def test_sgd_is_nesterov_with_the_recipes_momentum():
    optimizer = build_optimizer(nn.Linear(2, 2), Recipe(optimizer="sgd", momentum=0.7))
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(g["nesterov"] and g["momentum"] == 0.7 for g in optimizer.param_groups)


def test_frozen_weights_are_left_out():
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    params = [p for g in build_optimizer(model, Recipe()).param_groups for p in g["params"]]
    assert [id(p) for p in params] == [id(model.bias)]


def test_learnt_weights_get_their_share_of_the_rate_and_fresh_ones_all_of_it():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    recipe = Recipe(pretrained_lr_fraction=0.25)
    groups = build_optimizer(model, recipe, pretrained_names={"0.weight", "0.bias"}).param_groups
    shares = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    names = {name: shares[id(p)] for name, p in model.named_parameters()}
    assert names == {"0.weight": 0.25, "0.bias": 0.25, "1.weight": 1.0, "1.bias": 1.0}
