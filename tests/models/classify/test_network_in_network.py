import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.cost import count
from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import network_in_network


@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("nin_cifar", {}, 966_986, 222_486_528),
        ("nin_cifar", {"num_classes": 100}, 984_356, 223_592_448),
        ("nin_cifar_fc", {}, 966_986 + 640 * 10 + 10, 222_486_528 + 640 * 10),
        ("nin_imagenet", {}, 7_595_176, 969_460_864),
    ],
)
def test_counts_are_those_of_the_released_networks(name, options, params, macs, counted):
    assert counted(name, **options) == (params, macs)


def test_a_larger_image_costs_what_the_sheet_says():
    with torch.device("meta"):
        model = create_model("nin_imagenet")
        assert count(model, model.example(size=227)).macs == 1_105_996_320


def test_answers_equal_pytorchcv(assert_same_answers):
    provider = pytest.importorskip("pytorchcv.model_provider")
    ours = create_model("nin_cifar")
    peer = provider.get_model("nin_cifar10")
    for pool in (peer.features.stage2.pool2, peer.features.stage3.pool3):
        pool.padding, pool.ceil_mode = 0, True  # it pads where the release rounds up
    paths = [("output.final_conv.conv", "class_maps.0")]
    for s, stage in enumerate(ours.stages):
        convs = [i for i, layer in enumerate(stage) if isinstance(layer, nn.Conv2d)]
        for number, i in enumerate(convs, start=1):
            paths.append((f"features.stage{s + 1}.unit{number}.conv", f"stages.{s}.{i}"))
    assert_same_answers(ours, peer, paths, size=32)


def test_the_imagenet_form_equals_perceptrons_on_every_pixel():
    torch.manual_seed(0)
    model = create_model("nin_imagenet", width=0.1, num_classes=5).double().eval()
    x = torch.randn(2, 3, 99, 99, dtype=torch.float64)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 12
    a = x
    for block in range(4):
        spatial, *perceptron = convs[3 * block : 3 * block + 3]
        if block > 0:
            a = a.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
        pad = 0 if block == 0 else spatial.kernel_size[0] // 2
        a = F.conv2d(a, spatial.weight, spatial.bias, stride=4 if block == 0 else 1, padding=pad)
        a = a.relu().movedim(1, 3)
        for layer in perceptron:
            a = F.linear(a, layer.weight[:, :, 0, 0], layer.bias).relu()
        a = a.movedim(3, 1)
    torch.testing.assert_close(model(x), a.flatten(2).mean(2))


def test_the_fully_connected_form_reads_every_pixel_of_the_class_maps():
    torch.manual_seed(0)
    model = create_model("nin_cifar_fc", width=0.1).double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    maps = model.class_maps(model.stages(x))
    assert maps.shape == (2, 10, 8, 8)
    layer = model.classifier[2]
    weight = layer.weight.view(10, 10, 8, 8)
    torch.testing.assert_close(model(x), torch.einsum("ncij,dcij->nd", maps, weight) + layer.bias)
    with pytest.raises(ValueError, match=r"must be exactly \(n, 3, 32, 32\)"):
        model(x[:, :, :31])


@pytest.mark.parametrize("average", [True, False])
def test_the_second_pooling_averages_or_takes_the_maximum(average):
    torch.manual_seed(0)
    model = create_model("nin_cifar", width=0.1, average_pooling=average)
    first, second = (model.stages[s][0] for s in (1, 2))
    x = torch.randn(1, 2, 16, 16)
    padded = F.pad(x, (0, 1, 0, 1), value=torch.nan)  # 16 pixels make 8 windows with a border
    windows = padded.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)
    largest = windows.nan_to_num(-torch.inf).amax(4)
    torch.testing.assert_close(first(x), largest)
    torch.testing.assert_close(second(x), windows.nanmean(4) if average else largest)


def test_dropout_is_on_in_training_alone():
    torch.manual_seed(0)
    options = {"width": 0.1, "dropout": 0.0, "fully_connected": True}
    still = create_model("nin_cifar", **options)
    (x,) = still.example(batch=2)
    assert torch.equal(still(x), still(x))
    for model in (
        create_model("nin_cifar", width=0.1),
        create_model("nin_cifar", **options, head_dropout=0.5),
    ):
        assert not torch.equal(model(x), model(x))
        assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [("nin_cifar", {})] + [("nin_imagenet", {"stem_stride": s}) for s in (4, 2, 1)],
)
def test_min_size_is_the_smallest_that_the_layers_take(name, options, monkeypatch):
    monkeypatch.setattr(network_in_network, "check_image", lambda *args, **options: None)
    model = create_model(name, width=0.1, **options).eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, model.min_size, model.min_size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, model.min_size - 1, model.min_size))


def test_a_wrong_stem_stride_is_refused():
    with pytest.raises(UsageError, match="stem_stride must be one of 4, 2, 1, got 3"):
        create_model("nin_imagenet", stem_stride=3)
