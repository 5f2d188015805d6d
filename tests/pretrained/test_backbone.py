"""Segmenters that hold a classifier start from its public weights."""

import pytest
import torch
import torch.nn.functional as F

import convatlas as ca
from convatlas.errors import WeightsError
from convatlas.models import create_model
from convatlas.models.classify.vgg import VGG
from convatlas.models.on_shapes import on_shapes
from convatlas.models.segment.dilated_context import DilatedContext
from convatlas.pretrained.backbone import copied_tensors
from convatlas.pretrained.checkpoint import backbones, checkpoints_of
from convatlas.pretrained.create import load_public
from convatlas.pretrained.translate import key_paths


@pytest.fixture
def densenet(cache, put, from_hub):
    """DenseNet-121 as drawn, its weights in the hub's cache under the peer's names."""
    torch.manual_seed(0)
    model, checkpoint = create_model("densenet121").eval(), from_hub("densenet121")
    theirs = {ours: theirs for theirs, ours in key_paths(model, checkpoint)}
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("tracked")}
    names = {name: name.rpartition(".") for name in state}
    put(checkpoint, {f"{theirs[m]}.{tensor}": state[n] for n, (m, _, tensor) in names.items()})
    return model


def stem(densenet, x):
    """The first convolution and its norm, without the ReLU."""
    convolution, norm, _ = densenet.stages[0][0]
    return norm(convolution(x))


def test_the_texture_stream_of_saunet_is_densenet_and_the_rest_is_fresh(densenet):
    loaded = load_public("saunet", {"num_classes": 3})
    ours = loaded.model.eval()
    assert loaded.checkpoint.model == "densenet121"
    own = {
        name.partition(".")[0] for name, _ in ours.named_parameters() if name not in loaded.fresh
    }
    assert own == {"encoder"}
    assert not [name for name in loaded.fresh if name.startswith("encoder")]
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        first = stem(densenet, x)
        second = densenet.stages[2][0](densenet.stages[1][1](first))
        third = densenet.stages[3][0](densenet.stages[2][1](second))
        fourth = densenet.stages[4][0](densenet.stages[3][1](third))
        last = densenet.stages[4][2](densenet.stages[4][1](fourth))
        expected = (first, second, third, fourth, last)
        for got, map_ in zip(ours.encoder(x), expected, strict=True):
            torch.testing.assert_close(got, map_)


def test_a_grey_image_is_prepared_and_read_as_its_colours_would_be(densenet):
    ours = ca.create_model("saunet", pretrained=True, in_channels=1).eval()
    grey = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        expected = stem(densenet, grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(ours.encoder(grey)[0], expected, rtol=1e-4, atol=1e-4)
    assert ours.public_weights.mean == pytest.approx((0.449,), abs=1e-3)


def test_another_width_is_refused_by_name(densenet):
    with pytest.raises(WeightsError, match="saunet: the public weights of densenet121 do not fit"):
        ca.create_model("saunet", pretrained=True, width=0.5)


@pytest.mark.parametrize("head", ["dense", "large_fov"])
def test_the_front_end_takes_vggs_convolutions_and_its_linear_layers_as_filters(head):
    torch.manual_seed(0)
    vgg = VGG(width=1 / 16).eval()
    ours = DilatedContext(width=1 / 16, head=head, padding="same").eval()
    ours.load_state_dict(copied_tensors(ours, vgg.state_dict(), "dilated_context"), strict=False)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.front_end.stages[:4](x), vgg.stages[:4](x))
        maps = torch.rand(2, 32, 7, 7)
        fc6, fc7 = ours.front_end.heads[0][0], ours.front_end.heads[0][3]
        if head == "dense":
            hidden = F.conv2d(maps, fc6.weight, fc6.bias).relu()
            got = F.conv2d(hidden, fc7.weight, fc7.bias).flatten(1)
            torch.testing.assert_close(got, vgg.classifier[:4](maps.flatten(1)))
        else:
            assert fc6.kernel_size == (3, 3)


def test_filters_of_the_fifth_stage_read_every_second_pixel():
    """What the fourth pooling would have left out is read in between, by the same weights."""
    torch.manual_seed(0)
    vgg = VGG(width=1 / 16).eval()
    ours = DilatedContext(width=1 / 16, padding="same").eval()
    ours.load_state_dict(copied_tensors(ours, vgg.state_dict(), "dilated_context"), strict=False)
    maps = torch.rand(1, 32, 12, 12)
    with torch.no_grad():
        dense = ours.front_end.stages[4](maps)
        coarse = vgg.stages[4][1:](maps[:, :, ::2, ::2])
    torch.testing.assert_close(dense[:, :, ::2, ::2], coarse)


@pytest.mark.parametrize("name", sorted(backbones()))
def test_each_named_network_has_a_place_for_each_tensor_of_its_classifier(name):
    """But for its last layers, which a segmenter has none of."""
    with on_shapes():
        classifier, ours = create_model(backbones()[name]), create_model(name)
        theirs = classifier.state_dict()
        copied = copied_tensors(ours, theirs, name)
    assert checkpoints_of(backbones()[name])
    # LR-ASPP reads the convolution behind the stages on some backbones only.
    last = ("classifier", "head") if getattr(ours, "reads_last", True) is False else "classifier"
    kept = len([key for key in theirs if not key.startswith(last)])
    front_end = getattr(ours, "front_end", None)
    filters = 4 if front_end is not None and ours.head == "dense" else 0  # fc6 and fc7
    assert len(copied) == kept + filters
    assert name in ca.list_models(pretrained=True)


def test_the_card_shows_the_weights_of_the_part():
    (shown,) = ca.describe("saunet").weights
    assert shown.model == "densenet121"
