import copy

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify.dense_layers import DenseBlock, DenseLayer
from convatlas.models.classify.densenet import DenseNet
from convatlas.pretrained.keys.densenet import timm_paths, torchvision_paths


@pytest.mark.parametrize("depth", [121, 161])
def test_answers_equal_torchvision(depth, assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model(f"densenet{depth}", num_classes=10)
    peer = getattr(torchvision.models, f"densenet{depth}")(num_classes=10)
    assert_same_answers(ours, peer, torchvision_paths(ours))


def test_answers_equal_timm(assert_same_answers):
    timm = pytest.importorskip("timm")
    ours = create_model("densenet169", num_classes=10)
    peer = timm.create_model("densenet169", num_classes=10)
    assert_same_answers(ours, peer, timm_paths(ours))


def test_every_layer_is_reached_by_all_before_it():
    """The last layer's input holds the block's input and each layer's own maps, in order."""
    torch.manual_seed(0)
    block = DenseBlock(3, 2, 4).eval()
    seen = []
    block.layers[-1].first.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    made = []
    for layer in block.layers:
        layer.register_forward_hook(lambda _, __, y: made.append(y))
    x = torch.randn(2, 3, 5, 5)
    y = block(x)
    assert torch.equal(seen[0], torch.cat([x, *made[:3]], 1))
    assert torch.equal(y, torch.cat([x, *made], 1))


def _train_once(model, x):
    torch.manual_seed(1)  # the same dropout
    y = model.train()(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    return y.detach(), [p.grad for p in model.parameters()], list(model.buffers())


@pytest.mark.parametrize("bottleneck", [True, False])
def test_the_memory_efficient_form_trains_the_same(bottleneck):
    torch.manual_seed(0)
    plain = DenseBlock(4, 3, 5, bottleneck=bottleneck, dropout=0.2).double()
    efficient = DenseBlock(4, 3, 5, bottleneck=bottleneck, dropout=0.2, memory_efficient=True)
    efficient.double().load_state_dict(plain.state_dict())
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    for expected, got in zip(_train_once(plain, x), _train_once(efficient, x), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    counters = [b for b in efficient.buffers() if b.dtype == torch.long]
    assert counters
    assert all(counter == 1 for counter in counters), "a norm took its statistics twice"


def _kept_values(model, x) -> int:
    """Values that the forward pass leaves to the backward pass, each storage once."""
    storages = {}

    def pack(t):
        storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = model(x)
    del y
    return sum(storages.values()) // x.element_size()


def test_the_memory_efficient_form_keeps_memory_linear_in_depth():
    """Plain, a layer keeps all maps before it, twice; efficient, only what it made itself."""
    kept = {}
    x = torch.randn(1, 8, 16, 16)
    for efficient in (False, True):
        for layers in (8, 16):
            block = DenseBlock(8, 8, layers, memory_efficient=efficient).train()
            kept[efficient, layers] = _kept_values(block, x)
    assert kept[False, 16] > 2.6 * kept[False, 8]
    assert kept[True, 16] < 2.1 * kept[True, 8]
    assert kept[True, 16] < 0.5 * kept[False, 16]


def test_the_second_run_stops_before_the_convolution():
    layer = DenseLayer(4, 2, memory_efficient=True).train()
    runs = {"norm": 0, "conv": 0}
    layer.first[0].register_forward_pre_hook(lambda *_: runs.update(norm=runs["norm"] + 1))
    layer.first[2].register_forward_hook(lambda *_: runs.update(conv=runs["conv"] + 1))
    layer([torch.randn(2, 4, 5, 5, requires_grad=True)]).sum().backward()
    assert runs == {"norm": 2, "conv": 1}


def test_without_gradients_nothing_is_run_twice():
    model = create_model("densenet121", width=0.125, num_classes=3, memory_efficient=True).eval()
    other = copy.deepcopy(model)
    for layer in other.modules():
        if isinstance(layer, DenseLayer):
            layer.memory_efficient = False
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(model(x), other(x))


def test_dropout_stands_after_each_convolution_of_a_layer_and_is_off_in_evaluation():
    layer = DenseLayer(4, 50, dropout=0.5)
    maps = [torch.randn(4, 4, 6, 6)]
    share = (layer.train()(maps) == 0).float().mean()
    assert 0.45 < share < 0.55
    inside = []
    layer.second.register_forward_pre_hook(lambda _, x: inside.append(x[0]))
    layer(maps)
    assert 0.45 < (inside[0] == 0).float().mean() < 0.55
    assert torch.equal(layer.eval()(maps), layer(maps))


@pytest.mark.parametrize(("stem_stride", "smallest"), [(4, 29), (2, 15), (1, 8)])
def test_a_smaller_stem_takes_smaller_images(stem_stride, smallest):
    model = DenseNet(width=0.1, num_classes=3, stem_stride=stem_stride).eval()
    assert model.min_size == smallest
    assert model(torch.rand(1, 3, smallest, smallest)).isfinite().all()
    with pytest.raises(ValueError, match=f"from {smallest} pixels up"):
        model(torch.rand(1, 3, smallest - 1, smallest))


def test_features_are_the_maps_of_the_blocks():
    model = create_model("densenet121", features_only=True)
    assert model.feature_channels == [64, 256, 512, 1024, 1024]
    assert model.feature_strides == [2, 4, 8, 16, 32]


def test_starting_weights_are_he_normal():
    torch.manual_seed(0)
    conv = create_model("densenet121").stages[1][1].layers[0].second[2]
    assert isinstance(conv, nn.Conv2d)
    assert conv.weight.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.03)


def test_other_depths_are_refused():
    with pytest.raises(UsageError, match="depth must be one of 121, 161, 169, 201, 264, got 100"):
        create_model("densenet121", depth=100)
