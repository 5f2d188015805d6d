import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.explain.weight_change import weight_changes


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv1d(8, 8, 5), nn.Linear(8, 4))


def test_the_correlation_is_that_of_numpy():
    model = network()
    before = copy.deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    changes = weight_changes(before, model)
    assert [change.layer for change in changes] == ["0", "2", "3"]
    for change in changes:
        old = before[f"{change.layer}.weight"].flatten().numpy()
        new = model.get_submodule(change.layer).weight.detach().flatten().numpy()
        assert change.weights == old.size
        assert change.correlation == pytest.approx(np.corrcoef(old, new)[0, 1], abs=1e-6)
        moved = np.linalg.norm(new - old) / np.linalg.norm(old)
        assert change.distance == pytest.approx(moved, rel=1e-5)


def test_a_positive_factor_changes_the_distance_alone():
    model = network()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model[0].weight *= 0.5
    shrunk, same, _ = weight_changes(before, model)
    assert (shrunk.correlation, shrunk.distance) == pytest.approx((1, 0.5))
    assert (same.correlation, same.distance) == pytest.approx((1, 0))


def test_weights_that_have_nothing_in_common_do_not_correlate():
    torch.manual_seed(1)
    old, new = nn.Conv2d(32, 64, 3), nn.Conv2d(32, 64, 3)
    (change,) = weight_changes({"0.weight": old.weight.detach()}, nn.Sequential(new))
    assert abs(change.correlation) < 3 / math.sqrt(change.weights)


def test_a_new_classifier_is_left_out_and_nothing_in_common_is_refused():
    model = network()
    before = copy.deepcopy(model.state_dict())
    model[3] = nn.Linear(8, 7)
    assert [change.layer for change in weight_changes(before, model)] == ["0", "2"]
    with pytest.raises(UsageError, match="no layer of the same name and shape"):
        weight_changes(before, nn.Linear(2, 2))
