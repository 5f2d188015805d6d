import pytest
import torch
from torch import nn

from convatlas.errors import UnknownNameError, UsageError
from convatlas.models import create_model, find_entry, model_names, register


class Custom(nn.Module):
    def __init__(self, *, num_classes: int = 3):
        super().__init__()
        self.layer = nn.Linear(2, num_classes)

    def example(self, batch=1):
        return (torch.rand(batch, 2),)


class Other(nn.Module):
    example = Custom.example


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="no model 'mobilenetv2'; nearest: mobilenet_v2"):
        create_model("mobilenetv2")


def test_an_unknown_option_offers_the_nearest_and_lists_all():
    with pytest.raises(
        UsageError, match=r"no option 'widht'; nearest: width, .*; it takes "
    ) as caught:
        create_model("resnet18", widht=2)
    assert "stem_stride" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -1}, "num_classes must be a whole number from 0 up, got -1"),
        ({"num_classes": 2.5}, "num_classes must be a whole number"),
        ({"in_channels": -1}, "in_channels must be a whole number"),
        ({"width": 0}, "width must be a number above 0, got 0"),
        ({"width": float("nan")}, "width must be a number above 0, got nan"),
        ({"width": "wide"}, "width must be a number above 0, got 'wide'"),
        ({"stem_stride": 3}, "stem_stride must be one of 4, 2, 1, got 3"),
        ({"depth": 51}, "depth must be one of 18, 34, 50, 101, 152, 200, got 51"),
    ],
)
def test_a_senseless_value_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        create_model("resnet18", **options)


def test_options_of_the_call_go_over_those_of_the_name():
    entry = find_entry("mobilenet_v1_w0.5_r160")
    assert entry.defaults["width"] == 0.5
    assert entry.defaults["image_size"] == 160
    assert entry.defaults["num_classes"] == 1000
    narrow, wide = create_model("mobilenet_v1_w0.5_r160"), create_model("mobilenet_v1", width=0.5)
    assert _params(narrow) == _params(wide)
    assert _params(create_model("mobilenet_v1_w0.5_r160", width=0.25)) < _params(narrow)


def test_a_network_of_ones_own_joins_under_a_free_name_only():
    register("test_registry_custom", Custom, num_classes=4)
    register("test_registry_custom", Custom, num_classes=5)  # the same class again, as on reload
    assert find_entry("test_registry_custom").task == "custom"
    assert create_model("test_registry_custom").layer.out_features == 5
    with pytest.raises(ValueError, match="'test_registry_custom' is taken by Custom"):
        register("test_registry_custom", Other)


def test_the_task_is_declared_or_that_of_the_class():
    register("test_registry_custom", Custom, "classify", num_classes=4)
    register("test_registry_again", Custom)
    assert find_entry("test_registry_again").task == "classify"
    register("test_registry_resnet", find_entry("resnet18").cls, depth=34)
    assert find_entry("test_registry_resnet").task == "classify"
    register("test_registry_other", Other)
    assert find_entry("test_registry_other").task == "custom"


def test_names_of_the_interface_are_registered():
    names = """linear_classifier lenet5 resnet18 resnet34 resnet50 resnet101 resnet152
    resnet20_cifar resnet56_cifar resnet110_cifar mobilenet_v1 mobilenet_v1_w0.75_r192 mobilenet_v2
    pydmobilenet29_cifar pydmobilenet56_cifar squeezenet squeezenet_simple_bypass
    squeezenet_complex_bypass squeezenet1_1 shufflenet_v2"""
    assert set(names.split()) <= set(model_names())
    assert {find_entry(name).task for name in names.split()} == {"classify"}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    from convatlas.models import registry

    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def _params(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if isinstance(p, torch.Tensor))


def test_a_network_without_an_example_cannot_be_registered():
    with pytest.raises(TypeError, match=r"Linear must have a method example"):
        register("no_example", nn.Linear)
