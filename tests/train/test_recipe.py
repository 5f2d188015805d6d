import math

import pytest

from convatlas.errors import UsageError
from convatlas.train.recipe import Recipe


def test_rate_climbs_then_follows_half_a_cosine():
    recipe = Recipe(warmup=0.2, final_lr_fraction=0.1)
    assert recipe.rate(0.0) == 0.0
    assert recipe.rate(0.1) == pytest.approx(0.5)
    assert recipe.rate(0.2) == pytest.approx(1.0)
    half_way = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 2))
    assert recipe.rate(0.6) == pytest.approx(half_way)
    assert recipe.rate(1.0) == pytest.approx(0.1)


def test_rate_without_warmup_starts_at_the_top():
    assert Recipe(warmup=0.0).rate(0.0) == pytest.approx(1.0)


def test_unknown_option_offers_the_nearest():
    with pytest.raises(UsageError, match="no option 'batchsize'; nearest: batch_size"):
        Recipe().with_options(batchsize=3)


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("epochs", -1), ("batch_size", 0), ("warmup", 1.0)]
)
def test_impossible_values_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=f"{name} cannot be"):
        Recipe().with_options(**{name: value})
