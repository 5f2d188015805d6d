import copy

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model, register, registry
from convatlas.models.headless import Features


def test_without_classes_a_network_returns_pooled_features():
    model = create_model("mobilenet_v2", width=0.25, num_classes=0).eval()
    x = torch.rand(2, 3, 32, 32)
    features = model(x)
    assert features.shape == (2, model.num_features) == (2, 1280)
    maps = model.head(model.stages(x))
    assert torch.equal(features, maps.mean((2, 3)))
    assert not any(key.startswith("classifier") for key in model.state_dict())


def test_a_new_last_layer_leaves_the_rest_alone():
    model = create_model("resnet18", width=0.125, num_classes=4).double().eval()
    before = copy.deepcopy(model.state_dict())
    model.reset_classifier(7)
    assert model(torch.rand(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 7)
    model.reset_classifier(0)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    model.reset_classifier(4)
    assert model.state_dict().keys() == before.keys()
    assert model.num_features == 64


def test_the_last_layer_of_class_maps_is_a_convolution_again():
    model = create_model("squeezenet", width=0.25, num_classes=0).eval()
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, model.num_features) == (2, 128)
    model.reset_classifier(3)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_classifiers_that_help_training_are_replaced_and_removed_too():
    model = create_model("inception_v3", width=0.125, auxiliary=True, num_classes=5).train()
    x = torch.rand(2, 3, 139, 139)
    model.reset_classifier(7)
    outputs = model(x)
    assert [y.shape for y in (outputs.logits, *outputs.auxiliary)] == [(2, 7), (2, 7)]
    model.reset_classifier(0)
    assert model(x).shape == (2, model.num_features)


def test_a_headless_network_is_traced_and_copied():
    model = create_model("resnet18", width=0.125, num_classes=0).eval()
    x = torch.rand(1, 3, 32, 32)
    for same in (torch.fx.symbolic_trace(model), copy.deepcopy(model)):
        assert torch.equal(same(x), model(x))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("capsnet", {}, "CapsNet has no single last layer"),
        ("nin_cifar", {"fully_connected": True}, "NINCifar has no single last layer"),
        ("linear_classifier", {}, "LinearClassifier has no features"),
    ],
)
def test_a_network_without_features_says_so(name, options, message):
    with pytest.raises(UsageError, match=message):
        create_model(name, num_classes=0, **options)
    assert name == "linear_classifier" or not hasattr(create_model(name, **options), "num_features")


@pytest.mark.parametrize("num_classes", [-1, 2.5, True])
def test_a_senseless_count_is_refused(num_classes):
    with pytest.raises(UsageError, match="whole number from 0 up"):
        create_model("lenet5").reset_classifier(num_classes)


class Mine(nn.Module):
    def __init__(self, *, num_classes: int = 3):
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.classifier = nn.Linear(6, num_classes)

    def forward(self, x):
        return self.classifier(self.body(x))

    def example(self, batch=1):
        return (torch.rand(batch, 4),)


def test_a_network_of_the_users_is_cut_as_ours_are(monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    register("mine_to_cut", Mine)
    model = create_model("mine_to_cut", num_classes=0)
    assert isinstance(model.classifier, Features)
    assert model(torch.rand(2, 4)).shape == (2, 6)


def test_timm_names_the_same_number_of_features():
    timm = pytest.importorskip("timm")
    peers = {"resnet50": "resnet50", "densenet121": "densenet121", "xception": "legacy_xception"}
    with torch.device("meta"):
        for ours, theirs in peers.items():
            model, peer = (
                create_model(ours, num_classes=0),
                timm.create_model(theirs, num_classes=0),
            )
            assert model.num_features == peer.num_features
