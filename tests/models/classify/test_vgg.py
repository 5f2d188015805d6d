import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.pretrained.keys import vgg as keys


def test_configuration_c_costs_what_its_1x1_convolutions_add_to_b(counted):
    added = ((256, 56), (512, 28), (512, 14))  # channels, side of the maps
    params = sum(c * c + c for c, _ in added)
    macs = sum(c * c * side**2 for c, side in added)
    b, c = counted("vgg13"), counted("vgg16_1x1")
    assert (c[0] - b[0], c[1] - b[1]) == (params, macs)


def _peer(torchvision, name, batch_norm):
    """torchvision's network at an eighth of its channels, so that it is not 500 MB."""
    vgg = torchvision.models.vgg
    letter = {"vgg11": "A", "vgg16": "D", "vgg19": "E"}[name]
    narrow = [c if c == "M" else c // 8 for c in vgg.cfgs[letter]]
    with torch.device("meta"):  # its classifier takes 512 channels whatever the features have
        peer = vgg.VGG(vgg.make_layers(narrow, batch_norm=batch_norm), num_classes=10)
        peer.classifier[0] = nn.Linear(64 * 49, 512)
        peer.classifier[3] = nn.Linear(512, 512)
        peer.classifier[6] = nn.Linear(512, 10)
    peer = peer.to_empty(device="cpu")
    for buffer in peer.buffers():
        buffer.zero_()
    return peer


@pytest.mark.parametrize(
    ("name", "batch_norm"), [("vgg11", False), ("vgg16", False), ("vgg16", True), ("vgg19", True)]
)
def test_answers_equal_torchvision(name, batch_norm, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    peer = _peer(torchvision, name, batch_norm)
    suffix = "_bn" if batch_norm else ""
    ours = create_model(name + suffix, width=0.125, num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours), size=224)


def _plain(model, x, kernels, *, normalised):
    """Table 1 read aloud: convolutions, rectified; a pooling behind each stage."""
    convs = iter([m for m in model.stages.modules() if isinstance(m, nn.Conv2d)])
    for stage, sides in enumerate(kernels):
        for kernel in sides:
            conv = next(convs)
            assert conv.kernel_size == (kernel, kernel)
            x = F.conv2d(x, conv.weight, conv.bias, padding=kernel // 2).clamp(min=0)
        if normalised and stage == 0:
            near = F.pad(x**2, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
            x = x / (2 + 1e-4 * near) ** 0.75
        x = F.max_pool2d(x, 2)
    x = x.flatten(1)
    linear = [m for m in model.classifier if isinstance(m, nn.Linear)]
    for layer in linear[:-1]:
        x = (x @ layer.weight.T + layer.bias).clamp(min=0)
    return x @ linear[-1].weight.T + linear[-1].bias


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("vgg11_lrn", ([3], [3], [3, 3], [3, 3], [3, 3])),
        ("vgg16_1x1", ([3, 3], [3, 3], [3, 3, 1], [3, 3, 1], [3, 3, 1])),
    ],
)
def test_forms_without_a_peer_equal_a_plain_second_computation(name, kernels):
    torch.manual_seed(0)
    model = create_model(name, width=0.125, map_side=1, num_classes=5).double().eval()
    x = 50 * torch.randn(2, 3, 32, 32, dtype=torch.float64)  # large, so that the norm bites
    expected = _plain(model, x, kernels, normalised=name == "vgg11_lrn")
    torch.testing.assert_close(model(x), expected)


def test_dropout_is_on_in_training_alone():
    torch.manual_seed(0)
    model = create_model("vgg11", width=0.125, map_side=1, num_classes=5)
    (x,) = model.example(size=32)
    assert not torch.equal(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(model.train()(x), model(x))


def test_feature_maps_halve_five_times():
    maps = create_model("vgg16", width=0.125, features_only=True)
    assert maps.feature_strides == [1, 2, 4, 8, 16, 32]
    assert maps.feature_channels == [8, 16, 32, 64, 64, 64]


def test_another_column_of_the_table_is_refused():
    with pytest.raises(UsageError, match="config must be one of A, A-LRN, B, C, D, E, got F"):
        create_model("vgg16", config="F")


def test_timm_names_the_same_layers_with_as_many_numbers():
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        ours, peer = create_model("vgg16_bn"), timm.create_model("vgg16_bn")
    paths = dict(keys.timm_paths(ours))
    named = {}
    for key, value in peer.state_dict().items():
        module, _, tensor = key.rpartition(".")
        named[f"{paths[module]}.{tensor}"] = value.numel()
    assert named == {key: value.numel() for key, value in ours.state_dict().items()}
