"""The image network unchanged, its sizes, and the mean of several networks' probabilities."""

import pytest
import torch
from torch import nn

from convatlas.atlas.index import read_index
from convatlas.models import create_model
from convatlas.models.audio.densenet_audio import ProbabilityMean
from convatlas.models.on_shapes import on_shapes


def test_it_is_densenet_201_with_another_last_layer():
    entry = read_index()["densenet201_audio"]
    assert (entry.params, entry.input) == (18_188_978, (3, 128, 250))
    with on_shapes():
        ours = create_model("densenet201_audio", num_classes=10).state_dict()
        images = create_model("densenet201").state_dict()
    assert {k for k in images if images[k].shape != ours[k].shape} == {
        "classifier.weight",
        "classifier.bias",
    }
    assert list(ours) == list(images)


def test_an_ensemble_averages_probabilities_and_not_logits():
    torch.manual_seed(0)
    members = [nn.Linear(6, 4) for _ in range(3)]
    x = 5 * torch.randn(8, 6)
    ensemble = ProbabilityMean(members)
    expected = sum(member(x).softmax(1) for member in members) / 3
    torch.testing.assert_close(ensemble(x).softmax(1), expected)
    torch.testing.assert_close(ensemble(x).exp(), expected)
    torch.testing.assert_close(torch.fx.symbolic_trace(ensemble)(x), ensemble(x))
    with pytest.raises(ValueError, match="one member or more"):
        ProbabilityMean([])
