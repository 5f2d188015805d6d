import importlib

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model

EXACT = {  # no layer sees the whole map, so that finer maps hold the coarse ones
    "resnet18": {},
    "resnet34_option_a": {},
    "resnext50_32x4d": {"width": 0.125},
    "mobilenet_v2": {},
    "shufflenet_v2": {},
    "vgg11": {},
}
PEERS = {  # ours: timm's name, the family whose translation renames the weights, our options
    "resnet50": ("resnet50", "resnet", {"stride_in_3x3": True}),
    "mobilenet_v2": ("mobilenetv2_100", "mobilenet_v2", {}),
    "efficientnet_b0": ("efficientnet_b0", "efficientnet", {"norm_eps": 1e-5}),
}


def _seen(model: nn.Module) -> nn.Module:
    """Statistics unlike those of the start, and values that stay of one size."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.2)
    return model.eval()


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", EXACT)
def test_every_kth_pixel_of_the_finer_maps_is_one_of_the_coarse(name, stride):
    options = {"width": 0.25, "num_classes": 2, **EXACT[name]}
    torch.manual_seed(0)
    coarse = _seen(create_model(name, **options))
    fine = create_model(name, output_stride=stride, **options).eval()
    fine.load_state_dict(coarse.state_dict(), strict=True)
    x, k = torch.rand(1, 3, 64, 96), 32 // stride
    expected = coarse.stages(x)
    if name == "vgg11":  # the poolings of 2 x 2 lose a border of the finer maps
        assert fine.stages(x).shape[2] == {8: 5, 16: 3}[stride]
    else:
        assert fine.stages(x).shape[2:] == (64 // stride, 96 // stride)
    torch.testing.assert_close(fine.stages(x)[:, :, ::k, ::k], expected, rtol=1e-4, atol=1e-4)


def test_feature_maps_stop_at_the_stride():
    features = create_model("resnet18", width=0.25, output_stride=8, features_only=True)
    assert features.feature_strides == [2, 4, 8, 8, 8]
    assert [m.shape[2] for m in features(torch.rand(1, 3, 64, 64))] == [32, 16, 8, 8, 8]


def test_a_network_that_is_finer_already_stays_as_it_is():
    model = create_model("resnet20_cifar", width=0.25, output_stride=8)
    plain = create_model("resnet20_cifar", width=0.25)
    assert repr(model) == repr(plain)


@pytest.mark.parametrize(
    ("name", "options"),
    [("irevnet_bijective", {}), ("densenet201_elastic", {}), ("capsnet", {})],
)
def test_a_network_that_cannot_names_those_that_can(name, options):
    with (
        torch.device("meta"),
        pytest.raises(UsageError, match=r"cannot keep more resolution.*resnet50"),
    ):
        create_model(name, output_stride=8, **options)


def test_another_stride_is_refused():
    with pytest.raises(UsageError, match="must be one of 8, 16, 32, got 5"):
        create_model("resnet18", width=0.1, output_stride=5)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", PEERS)
def test_answers_are_those_of_timm_with_the_same_stride(name, stride):
    timm = pytest.importorskip("timm")
    theirs, family, options = PEERS[name]
    keys = importlib.import_module(f"convatlas.pretrained.keys.{family}")
    torch.manual_seed(0)
    peer = _seen(timm.create_model(theirs, output_stride=stride))
    ours = create_model(name, output_stride=stride, **options).eval()
    paths, state, shapes = dict(keys.timm_paths(ours)), {}, ours.state_dict()
    for key, value in peer.state_dict().items():
        module, _, tensor = key.rpartition(".")
        path = f"{paths[module]}.{tensor}"
        state[path] = value.reshape(shapes[path].shape)
    ours.load_state_dict(state, strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected, got = peer(x), ours(x)
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
