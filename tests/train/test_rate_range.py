"""The range test finds the rate above which a known problem cannot be learned."""

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from convatlas.errors import ConvatlasError
from convatlas.metric import Metric
from convatlas.train.rate_range import RateRange, rate_range
from convatlas.train.recipe import Recipe


class Valley:
    """The loss is `curvature / 2 * |w - 1|^2`: steps above `2 / curvature` lead out of it.

    Each batch has its lowest point a little elsewhere, or the weights would stop in it for good.
    """

    metric = Metric("loss", "loss", higher_is_better=False)

    def __init__(self, curvature, offset=0.0):
        self.curvature, self.offset = curvature, offset

    def loaders(self, batch_size, seed):
        loader = DataLoader(TensorDataset(torch.zeros(4, 1)), batch_size=batch_size)
        return loader, loader

    def loss(self, model, batch):
        lowest = 1 + 0.3 * torch.randn_like(model.weight)
        return self.offset + self.curvature / 2 * (model.weight - lowest).square().sum()


def found(curvature, offset=0.0, **options):
    recipe = Recipe(optimizer="sgd", momentum=0.0, nesterov=False, lr=0.1, batch_size=2)
    recipe = recipe.with_options(weight_decay=0.0, clip_norm=0.0)
    torch.manual_seed(0)
    model = nn.Linear(8, 1, bias=False)
    return rate_range(model, Valley(curvature, offset), recipe, **options)


@pytest.mark.parametrize("curvature", [0.5, 40.0])
@pytest.mark.parametrize("offset", [0.0, -30.0], ids=["", "as a loss of decibels is"])
def test_a_rate_above_what_the_curvature_allows_is_where_the_loss_rises(curvature, offset):
    seen = found(curvature, offset)
    assert seen.diverged
    assert len(seen.rates) < 100
    edge = 2 / curvature
    assert edge / 2 < seen.rises < 2 * edge
    assert edge / 10 < seen.suggested < edge
    assert edge / 500 < seen.steepest < seen.rises


def test_where_nothing_diverges_the_last_rate_counts():
    seen = found(1.0, highest=0.5, steps=40)
    assert not seen.diverged
    assert len(seen.rates) == 40
    assert seen.rates[0] == pytest.approx(1e-6)
    assert seen.rates[-1] == seen.rises == pytest.approx(0.5)
    ratios = [b / a for a, b in zip(seen.rates, seen.rates[1:], strict=False)]
    assert ratios == pytest.approx([ratios[0]] * 39)


def test_a_second_fall_at_rates_far_too_large_is_not_taken_for_learning():
    falls = [2.5] * 20 + [2.5 - 0.02 * k for k in range(20)] + [2.1] * 10 + [2.6] * 12 + [2.05] * 12
    rates = tuple(1e-4 * 1.1**k for k in range(len(falls)))
    seen = RateRange(rates, tuple(falls), diverged=False)
    assert rates[45] < seen.rises < rates[56]


def test_a_loss_that_is_no_number_from_the_start_is_said():
    with pytest.raises(ConvatlasError, match="loss of the first step is nan"):
        found(1.0, math.nan)
