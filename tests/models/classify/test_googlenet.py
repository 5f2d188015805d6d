import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convatlas.errors import UsageError
from convatlas.models import create_model
from convatlas.models.classify import googlenet
from convatlas.pretrained.keys import googlenet as keys

AUXILIARY = 3_188_840 + 3_190_888


@pytest.mark.parametrize(
    ("name", "options", "params", "macs"),
    [
        ("googlenet", {}, 6_998_552, 1_582_671_872),
        ("googlenet", {"auxiliary": True}, 6_998_552 + AUXILIARY, 1_582_671_872),
        ("googlenet_slim", {}, 6_624_904, 1_498_376_192),
        ("googlenet_slim", {"auxiliary": True}, 13_004_888, 1_498_376_192),
    ],
)
def test_counts_are_those_of_the_reference_networks(name, options, params, macs, counted):
    assert counted(name, **options) == (params, macs)


def test_batch_norm_puts_one_more_number_on_every_channel(counted):
    plain, normed = counted("googlenet"), counted("googlenet_bn")
    with torch.device("meta"):
        convs = [m for m in create_model("googlenet").modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 57
    assert normed == (plain[0] + sum(c.out_channels for c in convs), plain[1])


def test_answers_equal_torchvision(assert_same_answers):
    torchvision = pytest.importorskip("torchvision")
    ours = create_model("googlenet_slim", num_classes=10, auxiliary=True)
    options = {"aux_logits": True, "transform_input": False, "init_weights": False}
    peer = torchvision.models.GoogLeNet(num_classes=10, **options)
    assert_same_answers(ours, peer, keys.torchvision_paths(ours), size=96)


def test_auxiliary_classifiers_equal_torchvisions_where_both_pool_to_the_same_maps():
    """Both average maps of 14 x 14 to 4 x 4, by other windows; one value everywhere is neutral."""
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    ours = create_model("googlenet_slim", num_classes=10, auxiliary=True).eval()
    peer = torchvision.models.GoogLeNet(num_classes=10, init_weights=False).aux1.eval()
    theirs = {path.removeprefix("aux1."): mine for path, mine in keys.torchvision_paths(ours)}
    for key, value in peer.state_dict().items():
        module, _, tensor = key.rpartition(".")
        getattr(ours.get_submodule(theirs[module]), tensor).data.copy_(value)
    x = torch.randn(2, 512, 1, 1).expand(2, 512, 14, 14)
    with torch.no_grad():
        torch.testing.assert_close(ours.auxiliary[0](x), peer(x))


def _conv(x, layer, padding):
    return F.conv2d(x, layer[0].weight, layer[0].bias, padding=padding).relu()


def test_a_module_and_its_auxiliary_classifier_equal_a_plain_second_computation():
    torch.manual_seed(0)
    model = create_model("googlenet", width=0.25, auxiliary=True, num_classes=5).double()
    module = model.stages[3][1]
    assert [conv.out_channels for conv in _convs(module)] == [48, 24, 52, 4, 12, 16]
    x = torch.randn(2, 120, 14, 14, dtype=torch.float64)
    largest = F.pad(x, (1, 1, 1, 1), value=-torch.inf).unfold(2, 3, 1).unfold(3, 3, 1).amax((4, 5))
    branches = [
        _conv(x, module.one, 0),
        _conv(_conv(x, module.three[0], 0), module.three[1], 1),
        _conv(_conv(x, module.five[0], 0), module.five[1], 2),
        _conv(largest, module.pool[1], 0),
    ]
    maps = torch.cat(branches, 1)
    torch.testing.assert_close(module(x), maps)

    head = model.auxiliary[0].eval()
    windows = maps.unfold(2, 5, 3).unfold(3, 5, 3).mean((4, 5))
    assert windows.shape == (2, 128, 4, 4)
    features = _conv(windows, head[1], 0).flatten(1)
    hidden = F.linear(features, head[4].weight, head[4].bias).relu()
    torch.testing.assert_close(head(maps), F.linear(hidden, head[7].weight, head[7].bias))


def _convs(module):
    return [m for m in module.modules() if isinstance(m, nn.Conv2d)]


def test_auxiliary_classifiers_train_the_lower_layers_and_rest_in_evaluation():
    torch.manual_seed(0)
    model, (x,) = googlenet.GoogLeNet.tiny()
    outputs = model.train()(x)
    assert outputs.logits.shape == (2, 5)
    assert [y.shape for y in outputs.auxiliary] == [(2, 5), (2, 5)]
    target = torch.tensor([1, 4])
    loss = model.loss(outputs, target, F.cross_entropy)
    parts = [F.cross_entropy(y, target) for y in (outputs.logits, *outputs.auxiliary)]
    torch.testing.assert_close(loss, parts[0] + 0.3 * parts[1] + 0.3 * parts[2])

    outputs.auxiliary[0].sum().backward()  # the first is read behind module 4a
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    assert any(name.startswith("stages.3.1.") for name in reached)
    assert not any(name.startswith(("stages.3.2.", "stages.4.", "classifier")) for name in reached)

    model.eval()
    before = model(x)
    assert isinstance(before, torch.Tensor)
    for parameter in model.auxiliary.parameters():
        parameter.data.fill_(torch.nan)
    assert torch.equal(model(x), before)


def test_without_auxiliary_classifiers_training_gives_plain_logits():
    model = create_model("googlenet", width=0.25, num_classes=5).train()
    logits, target = model(model.example(batch=2, size=32)[0]), torch.tensor([0, 1])
    assert logits.shape == (2, 5)
    expected = F.cross_entropy(logits, target)
    assert torch.equal(model.loss(logits, target, F.cross_entropy), expected)


def test_maps_have_the_published_sizes():
    with torch.device("meta"):
        model = create_model("googlenet")
        maps, sizes = model.example()[0], []
        for stage in model.stages:
            maps = stage(maps)
            sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(64, 112, 112), (192, 56, 56), (480, 28, 28), (832, 14, 14), (1024, 7, 7)]


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_min_size_is_the_smallest_that_the_layers_take(stem_stride, auxiliary, monkeypatch):
    monkeypatch.setattr(googlenet, "check_image", lambda *args, **options: None)
    options = {"width": 0.25, "stem_stride": stem_stride, "auxiliary": auxiliary}
    model = create_model("googlenet", **options).train()
    with torch.no_grad():
        model(torch.zeros(1, 3, model.min_size, model.min_size))
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, model.min_size - 1, model.min_size))


def test_a_wrong_stem_stride_is_refused():
    with pytest.raises(UsageError, match="stem_stride must be one of 4, 2, 1, got 3"):
        create_model("googlenet", stem_stride=3)
