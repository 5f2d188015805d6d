"""A network in two parts answers as the whole does, and the parts share its weights."""

import pytest
import torch
from torch import nn

import convatlas
from convatlas.errors import UsageError
from convatlas.models.split_network import FrozenNorm, find_cuts, freeze_norms, layers_between

NETWORKS = ["mobilenet_v2", "resnet18", "googlenet_bn", "shufflenet_v2", "densenet_bc100_k12_cifar"]


def built(name):
    torch.manual_seed(0)
    model = convatlas.create_model(name, num_classes=5, width=0.25).eval()
    with torch.no_grad():  # statistics that differ from fresh ones
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_answer_as_the_whole(name):
    model, images = built(name), torch.rand(2, 3, 32, 32)
    cuts = find_cuts(model, images)
    assert cuts[0].elements == images[0].numel()
    assert [len(cut.layers) for cut in cuts] == sorted((len(c.layers) for c in cuts), reverse=True)
    middle, late = cuts[len(cuts) // 2].name, cuts[3 * len(cuts) // 4].name
    with torch.no_grad():
        expected = model(images)
        maps = layers_between(model, None, middle)(images)
        assert maps[0].numel() == cuts[len(cuts) // 2].elements
        maps = layers_between(model, middle, late)(maps)
        answer = layers_between(model, late, None)(maps)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_training_the_rest_trains_the_network_and_nothing_before_the_cut():
    model, images = built("mobilenet_v2"), torch.rand(4, 3, 32, 32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cuts = find_cuts(model, images)
    cut = cuts[len(cuts) // 2]
    rest = freeze_norms(layers_between(model, cut.name, None)).train()
    maps = layers_between(model, None, cut.name)(images).detach()
    optimizer = torch.optim.SGD(rest.parameters(), lr=0.1)
    rest(maps).square().sum().backward()
    optimizer.step()
    changed = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert changed
    assert {key.rpartition(".")[0] for key in changed} <= set(cut.layers)
    assert not any("running" in key or "num_batches" in key for key in changed)
    torch.testing.assert_close(rest.eval()(maps), model(images), rtol=1e-4, atol=1e-5)


def test_frozen_norm_is_batch_norm_in_evaluation():
    norm = nn.BatchNorm2d(3)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(FrozenNorm(norm).train()(x), norm.eval()(x))


def test_what_decides_by_values_cannot_be_cut():
    class ByValue(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UsageError, match="ByValue cannot be cut in two"):
        find_cuts(ByValue(), torch.rand(1, 3))


def test_an_unknown_cut_is_named():
    with pytest.raises(UsageError, match="no cut 'nowhere'"):
        layers_between(built("resnet18"), None, "nowhere")
