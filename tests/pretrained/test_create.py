"""The whole way: a peer's random weights in the hub's cache come out as the same answers."""

from dataclasses import replace

import pytest
import torch

import convatlas as ca
from convatlas.errors import UnknownNameError, UsageError, WeightsError
from convatlas.pretrained.checkpoint import checkpoints, checkpoints_of
from convatlas.pretrained.translate import adapt_channels

# One small network of each translation; every other name is held on shapes in test_checkpoint.
FAMILIES = {}
for _checkpoint in sorted(checkpoints(), key=lambda c: c.bytes):
    if _checkpoint.repo is not None:
        FAMILIES.setdefault(_checkpoint.keys, _checkpoint.model)
LARGE = {"vgg:timm"}  # half a gigabyte: test_vgg.py holds its answers at an eighth of the width

pytestmark = pytest.mark.usefixtures("cache", "hub_only")


def coarse(channels=3, size=64):
    """Squares: fine noise would be averaged away, and all images answered alike."""
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.randn(3, channels, 5, 5), (size, size))


@pytest.mark.parametrize("keys", sorted(set(FAMILIES) - LARGE))
def test_answers_are_those_of_the_peer(keys, put, peer, from_hub):
    checkpoint = from_hub(FAMILIES[keys])
    theirs = peer(checkpoint)
    put(checkpoint, theirs.state_dict())
    ours = ca.create_model(checkpoint.model, pretrained=True).eval()
    x = coarse(size=112)
    with torch.no_grad():
        expected, got = theirs(x), ours(x)
    assert expected.std(0).max() > 1e-2 * expected.abs().max()
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert ours.public_weights == checkpoint


@pytest.fixture
def stored(put, peer, from_hub):
    """MobileNet V2's weights in the cache, and the network that they are from."""
    checkpoint = from_hub("mobilenet_v2_w0.5")
    theirs = peer(checkpoint)
    put(checkpoint, theirs.state_dict())
    return theirs


def test_another_number_of_classes_leaves_the_classifier_fresh_and_loads_the_rest(stored):
    ours = ca.create_model("mobilenet_v2_w0.5", pretrained=True, num_classes=7).eval()
    full = ca.create_model("mobilenet_v2_w0.5", pretrained=True).eval()
    state, loaded = ours.state_dict(), full.state_dict()
    differing = {name for name in state if not torch.equal(state[name], loaded[name])}
    assert differing == {"classifier.1.weight", "classifier.1.bias"}
    assert ours(coarse()).shape == (3, 7)


def test_without_classes_the_features_carry_the_weights(stored):
    ours = ca.create_model("mobilenet_v2_w0.5", pretrained=True, num_classes=0).eval()
    full = ca.create_model("mobilenet_v2_w0.5", pretrained=True).eval()
    with torch.no_grad():
        assert torch.equal(full.classifier(ours(coarse())), full(coarse()))
        stored.reset_classifier(0)
        torch.testing.assert_close(ours(coarse()), stored(coarse()), rtol=1e-4, atol=1e-4)


def test_a_grey_image_gets_what_its_colours_would(stored):
    grey = ca.create_model("mobilenet_v2_w0.5", pretrained=True, in_channels=1).eval()
    x = coarse(1)
    with torch.no_grad():
        torch.testing.assert_close(grey(x), stored(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_the_preparation_that_comes_along_fits_the_channels(stored, channels):
    model = ca.create_model("mobilenet_v2_w0.5", pretrained=True, in_channels=channels).eval()
    prepare = model.public_weights.preprocess(size=64)
    images = torch.randint(0, 256, (2, 90, 70, channels), dtype=torch.uint8)
    x = prepare(images)
    assert x.shape == (2, channels, 64, 64)
    with torch.no_grad():
        assert model(x).shape == (2, 1000)
    if channels > 1:  # each channel is prepared as the colour whose filters it took
        by_colour = checkpoints_of("mobilenet_v2_w0.5")[0].preprocess(size=64)
        for place in range(channels):
            alone = images[..., place : place + 1].expand(-1, -1, -1, 3)
            torch.testing.assert_close(x[:, place], by_colour(alone)[:, place % 3])


def test_a_grey_image_is_answered_as_the_colour_image_of_it(stored, monkeypatch):
    (checkpoint,) = checkpoints_of("mobilenet_v2_w0.5")
    # Where mean and deviation of the colours are equal the fold is exact, else it is near.
    even = replace(checkpoint, mean=(0.5,) * 3, std=(0.25,) * 3)
    monkeypatch.setattr("convatlas.pretrained.create.choose_checkpoint", lambda name: even)
    grey = ca.create_model("mobilenet_v2_w0.5", pretrained=True, in_channels=1).eval()
    colour = ca.create_model("mobilenet_v2_w0.5", pretrained=True).eval()
    image = torch.randint(0, 256, (2, 90, 70, 1), dtype=torch.uint8)
    with torch.no_grad():
        ours = grey(grey.public_weights.preprocess(size=64)(image))
        theirs = colour(colour.public_weights.preprocess(size=64)(image.expand(-1, -1, -1, 3)))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_more_channels_repeat_the_colours_and_keep_the_sum():
    weight = torch.rand(2, 3, 1, 1)
    five = adapt_channels(weight, torch.Size((2, 5, 1, 1)))
    expected = torch.stack([weight[:, i % 3] for i in range(5)], 1) * 3 / 5
    torch.testing.assert_close(five, expected)
    six = adapt_channels(weight, torch.Size((2, 6, 1, 1)))
    torch.testing.assert_close(six.sum(1), weight.sum(1))


def test_feature_maps_carry_the_weights(stored):
    maps = ca.create_model("mobilenet_v2_w0.5", pretrained=True, features_only=True).eval()
    with torch.no_grad():
        stem = torch.nn.functional.relu6(stored.bn1.eval()(stored.conv_stem(coarse())))
        expected = stored.blocks[0](stem)
        torch.testing.assert_close(maps(coarse())[0], expected, rtol=1e-4, atol=1e-4)
    assert maps.public_weights.repo == "timm/mobilenetv2_050.lamb_in1k"


def test_options_of_the_checkpoint_are_set_and_cannot_be_contradicted(put, peer, from_hub):
    checkpoint = from_hub("mobilenet_v1")
    assert checkpoint.options == {"relu6": True}
    with pytest.raises(UsageError, match="were trained with relu6=True, got False; leave it out"):
        ca.create_model("mobilenet_v1", pretrained=True, relu6=False)


def test_another_width_does_not_fit_and_the_message_says_which_layers(stored):
    with pytest.raises(WeightsError, match="do not fit the network as it is built") as caught:
        ca.create_model("mobilenet_v2_w0.5", pretrained=True, width=1.0)
    assert "stages.0.1.filter.1.running_var must be 32, got 16" in str(caught.value)


def test_without_weights_the_message_names_networks_that_have_them():
    with pytest.raises(UsageError, match="no public weights are known for 'resnet20_cifar'") as no:
        ca.create_model("resnet20_cifar", pretrained=True)
    assert "list_models(pretrained=True)" in str(no.value)
    assert "resnet" in str(no.value).partition("nearest")[2]
    with pytest.raises(UnknownNameError, match="nearest: resnet18"):
        ca.create_model("resnet81", pretrained=True)


@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("lacks", "head.0.weight"),
        ("also holds", "blocks.9.weight"),
        ("must be", "stages.2.1.expand.0.weight"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_names(how, where, stored, put, from_hub):
    state = dict(stored.state_dict())
    if how == "lacks":
        del state["conv_head.weight"]
    elif how == "also holds":
        state["blocks.9.weight"] = torch.zeros(1)
    else:
        state["blocks.2.1.conv_pw.weight"] = torch.zeros(5, 16, 1, 1)
    put(from_hub("mobilenet_v2_w0.5"), state)
    with pytest.raises(WeightsError, match=how) as caught:
        ca.create_model("mobilenet_v2_w0.5", pretrained=True)
    assert where in str(caught.value)


def test_a_file_from_before_batch_norm_counted_its_batches_is_taken(stored, put, from_hub):
    state = {k: v for k, v in stored.state_dict().items() if "num_batches" not in k}
    put(from_hub("mobilenet_v2_w0.5"), state)
    ours = ca.create_model("mobilenet_v2_w0.5", pretrained=True).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(coarse()), stored(coarse()), rtol=1e-4, atol=1e-4)
