import pytest
import torch
from torch import nn

from convatlas.models.ensemble import ProbabilityMean


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
