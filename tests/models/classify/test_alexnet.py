import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import alexnet
from convatlas.pretrained.keys import alexnet as keys


def test_answers_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("alexnet", num_classes=10)
    peer = torchvision.models.alexnet(num_classes=10)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours), size=224)


def damped(a):
    """Equation of section 3.3, neighbour by neighbour."""
    channels = a.shape[1]
    total = torch.zeros_like(a)
    for i in range(channels):
        for j in range(max(0, i - 2), min(channels - 1, i + 2) + 1):
            total[:, i] += a[:, j] ** 2
    return a / (2 + 1e-4 * total) ** 0.75


def test_two_towers_equal_a_plain_computation_of_either_tower_alone():
    torch.manual_seed(0)
    model = create_model("alexnet_two_tower", width=0.1, num_classes=5, map_side=2)
    model = model.double().eval()
    convs = [m for m in model.stages.modules() if isinstance(m, nn.Conv2d)]
    linear = [m for m in model.classifier if isinstance(m, nn.Linear)]
    for layer in [*convs, *linear]:  # large enough for the response norms to bite
        nn.init.kaiming_normal_(layer.weight)
    x = 20 * torch.randn(2, 3, 99, 99, dtype=torch.float64)

    def both(a, conv):  # either half of the channels by its own half of the filters
        halves = zip(a.chunk(2, 1), conv.weight.chunk(2), conv.bias.chunk(2), strict=True)
        pad = conv.kernel_size[0] // 2
        return torch.cat([F.conv2d(h, w, b, padding=pad) for h, w, b in halves], 1).relu()

    first, second, third, fourth, fifth = convs
    a = F.conv2d(F.pad(x, (2, 2, 2, 2)), first.weight, first.bias, stride=4).relu()
    a = F.max_pool2d(damped(a), 3, 2)
    a = F.max_pool2d(damped(both(a, second)), 3, 2)
    a = F.conv2d(a, third.weight, third.bias, padding=1).relu()
    a = F.max_pool2d(both(both(a, fourth), fifth), 3, 2)
    assert a.shape[2:] == (2, 2)
    a = a.flatten(1)
    for layer in linear[:-1]:
        a = (a @ layer.weight.T + layer.bias).relu()
    torch.testing.assert_close(model(x), a @ linear[-1].weight.T + linear[-1].bias)


def test_maps_have_the_published_sizes():
    with torch.device("meta"):
        model = create_model("alexnet_two_tower")
        maps = model.example()[0]
        sides = []
        for stage in model.stages:
            maps = stage(maps)
            sides.append(tuple(maps.shape[1:]))
    assert sides == [(96, 55, 55), (256, 27, 27), (256, 13, 13), (256, 6, 6)]


def test_two_towers_start_as_published():
    torch.manual_seed(0)
    model = create_model("alexnet_two_tower", width=0.25)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [layer.bias.unique().tolist() for layer in layers] == [
        [b] for b in (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)
    ]
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("two_towers", [False, True])
def test_dropout_stands_where_its_paper_has_it_and_is_off_in_evaluation(two_towers):
    torch.manual_seed(0)
    model = alexnet.AlexNet(two_towers=two_towers, width=0.1, num_classes=5, map_side=1)
    first, last = model.classifier[0].p, model.classifier[6].p
    assert (first, last) == ((0.0, 0.5) if two_towers else (0.5, 0.0))
    (x,) = model.example(size=64)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
def test_min_size_is_the_smallest_that_the_layers_take(stem_stride, monkeypatch):
    monkeypatch.setattr(alexnet, "check_image", lambda *args, **options: None)
    options = {"width": 0.1, "map_side": 1, "stem_stride": stem_stride}
    model = create_model("alexnet", **options).eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, model.min_size, model.min_size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, model.min_size - 1, model.min_size))


def test_a_wrong_stem_stride_is_refused():
    with pytest.raises(UsageError, match="stem_stride must be one of 4, 2, 1, got 3"):
        create_model("alexnet", stem_stride=3)
