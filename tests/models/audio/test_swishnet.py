"""SwishNet is causal, has the counts of its layers, and dilation is stride with all frames kept."""

import pytest
import torch
from torch.nn import functional as F

from convatlas.atlas.index import read_index
from convatlas.models import create_model


def test_counts_are_those_of_the_layers():
    counted = {
        "swishnet_slim": 4_899,
        "swishnet_wide": 15_819,
        "mobilenet_v1_audio": 217_235,  # as published
    }
    assert {name: read_index()[name].params for name in counted} == counted


def slow_gate(layer, x, stride):
    """One output frame at a time, from the frames that it may see."""
    kernel = layer.conv.weight.shape[2]
    padded = F.pad(x, (kernel - 1, 0))
    frames = []
    for end in range(0, x.shape[2], stride):
        window = padded[:, :, end : end + kernel]
        y = torch.einsum("nck,dck->nd", window, layer.conv.weight) + layer.conv.bias
        tanh, sigmoid = y.chunk(2, dim=1)
        frames.append(torch.tanh(tanh) * torch.sigmoid(sigmoid))
    return torch.stack(frames, 2)


def test_a_layer_equals_its_formula_and_the_residual_is_the_frame_that_it_ends_on():
    torch.manual_seed(0)
    model = create_model("swishnet_slim").eval()
    (x,) = model.example(batch=2, frames=23)
    with torch.no_grad():
        y = model.second(model.first(x))
        y = y + model.third(y)
        for layer in model.layers[:3]:
            stride = layer.conv.stride[0]
            y = slow_gate(layer, y, stride) + y[:, :, ::stride]
            kept = y
        y = slow_gate(model.layers[3], y, 2)
        torch.testing.assert_close(model.paths(x)[1], kept)
        torch.testing.assert_close(model.paths(x)[2], y)


@pytest.mark.parametrize("downsample", ["stride", "dilation"])
def test_a_later_frame_does_not_change_an_earlier_output(downsample):
    torch.manual_seed(0)
    model = create_model("swishnet_slim", downsample=downsample).eval()
    (x,) = model.example(frames=98)
    changed = x.clone()
    changed[:, :, 60] += 1
    rates = (6, 12, 24, 48) if downsample == "stride" else (1, 1, 1, 1)
    for before, after, rate in zip(model.paths(x), model.paths(changed), rates, strict=True):
        same = (before == after).all(1)[0]
        first = -(-60 // rate)  # the first output whose window ends on frame 60 or later
        assert same[:first].all()
        assert not same[first]


def test_dilation_gives_the_strided_frames_and_those_between():
    torch.manual_seed(0)
    strided = create_model("swishnet_slim").eval()
    dilated = create_model("swishnet_slim", downsample="dilation").eval()
    dilated.load_state_dict(strided.state_dict())
    (x,) = strided.example(batch=2)
    for kept, every, rate in zip(strided.paths(x), dilated.paths(x), (6, 12, 24, 48), strict=True):
        assert every.shape[2] == 98
        torch.testing.assert_close(every[:, :, ::rate], kept)


@pytest.mark.parametrize("frames", [1, 2, 48, 98, 198])
def test_a_clip_of_any_length_is_taken(frames):
    model = create_model("swishnet_slim", num_classes=4).eval()
    assert model(*model.example(batch=2, frames=frames)).shape == (2, 4)


def test_other_coefficients_are_refused_and_other_classes_and_features_can_be_had():
    model = create_model("swishnet_wide", in_channels=13, num_classes=0).eval()
    assert model(*model.example(frames=40)).shape == (1, model.num_features) == (1, 80)
    with pytest.raises(ValueError, match=r"SwishNet: input must be \(n, 13, t\) with t from 1"):
        model(torch.rand(1, 20, 40))
    with pytest.raises(ValueError, match="downsample must be one of stride, dilation, got pool"):
        create_model("swishnet_slim", downsample="pool")


def test_the_teacher_takes_spectrograms_of_any_length():
    model = create_model("mobilenet_v1_audio").eval()
    for frames in (48, 98, 198):
        assert model(torch.rand(1, 3, 64, frames)).shape == (1, 3)
