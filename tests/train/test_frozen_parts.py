"""Parts that are frozen keep every bit of their weights and statistics; the rest is trained."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import convatlas as ca
from convatlas.errors import UsageError
from convatlas.train.frozen_parts import frozen_parts, holding
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.classify import Classify


class Small(nn.Module):
    """Three stages and a last layer, as the networks of the atlas have them."""

    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(*(self.stage(c) for c in (1, 4, 4)))
        self.classifier = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 2))
        self.scale = nn.Parameter(torch.ones(1))

    @staticmethod
    def stage(channels):
        norm = nn.BatchNorm2d(4, affine=channels > 1)
        return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1, bias=False), norm, nn.ReLU())

    def forward(self, x):
        return self.classifier(self.scale * self.stages(x).mean((2, 3)))


def network():
    torch.manual_seed(0)
    model = Small()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    return model


def task():
    labels = torch.arange(32) % 2
    images = torch.rand(32, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    data = TensorDataset(images + labels[:, None, None, None], labels)
    return Classify(data, data, num_classes=2, augment=lambda x: x, normalise=lambda x: x)


@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize(
    ("freeze", "moves"),
    [
        ("none", ["scale", "stages.0", "stages.1", "stages.2", "classifier"]),
        ("1", ["scale", "stages.1", "stages.2", "classifier"]),
        ("stages.1", ["scale", "stages.2", "classifier"]),
        ("3", ["scale", "classifier"]),
        ("all-but-head", ["classifier"]),
    ],
)
def test_the_rest_is_trained_and_the_frozen_parts_keep_every_bit(freeze, moves, decay):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = Recipe(epochs=3, batch_size=8, lr=0.02, ema_decay=decay)
    result = train(model, task(), recipe, frozen=frozen_parts(model, freeze))
    assert result.ended == "epochs"
    for name, value in model.state_dict().items():
        moved = any(name.startswith(part) for part in moves)
        assert torch.equal(value, before[name]) != moved, name
    assert all(p.requires_grad for p in model.parameters())


def test_a_frozen_part_is_in_evaluation_mode_while_it_trains():
    seen = []

    class Watched(Small):
        def forward(self, x):
            if torch.is_grad_enabled():
                seen.append({name for name, module in self.named_modules() if module.training})
            return super().forward(x)

    train(model := Watched(), task(), Recipe(epochs=1), frozen=frozen_parts(model, "2"))
    assert seen
    for training in seen:
        assert training >= {"", "stages", "stages.2", "stages.2.1", "classifier", "classifier.0"}
        assert not any(name.startswith(("stages.0", "stages.1")) for name in training)


@pytest.mark.parametrize(
    ("freeze", "says"),
    [
        ("4", "--freeze 4: Small has 3 stages to freeze"),
        ("0", "--freeze 0: Small has 3 stages"),
        (
            "stages.9",
            r"has no such part; nearest: stages\.\d.*or a part such as stages\.0",
        ),
        ("classifier", "--freeze classifier: nothing would be left to train"),
    ],
)
def test_what_a_network_does_not_have_is_named(freeze, says):
    with pytest.raises(UsageError, match=says):
        frozen_parts(network(), freeze)


def test_gradients_are_held_back_inside_the_block_only():
    model = network()
    model.stages[1][0].weight.requires_grad_(False)
    with holding(model, frozen_parts(model, "2")):
        assert not model.stages[0][0].weight.requires_grad
        assert model.stages[2][0].weight.requires_grad
    assert model.stages[0][0].weight.requires_grad
    assert not model.stages[1][0].weight.requires_grad


def test_the_networks_of_the_atlas_have_stages_and_a_last_layer_to_keep_apart():
    for name in ("mobilenet_v2", "resnet18", "convnext_tiny", "squeezenet1_1", "inception_v3"):
        with torch.device("meta"):
            model = ca.create_model(name)
        params = dict(model.named_parameters())
        left = set(params) - frozen_parts(model, "all-but-head").params
        assert left
        assert all(each.startswith("classifier") for each in left)
        first = frozen_parts(model, "1").params
        assert {each for each in params if each.startswith("stages.0.")} == first


@pytest.mark.parametrize(("until", "moves"), [(0.5, True), (1.0, False)])
def test_a_frozen_part_is_trained_from_the_share_of_the_run_that_the_recipe_says(until, moves):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe = Recipe(epochs=2, batch_size=8, ema_decay=0.0, freeze_until=until, warmup=0.0)
    train(model, task(), recipe, frozen=frozen_parts(model, "2"), way="torch")
    changed = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    parts = {"stages.0.0.weight", "stages.1.0.weight", "stages.1.1.running_mean"}
    assert (changed & parts) == (parts if moves else set())
    assert all(p.requires_grad for p in model.parameters())
