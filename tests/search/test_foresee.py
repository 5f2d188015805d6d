"""Forecasts of where rivals will end."""

import math

import pytest

from convatlas.search.foresee import Rival, clear, foresee
from convatlas.search.known_curves import Curve, Expected


def expected(*points):
    images, errors = zip(*points, strict=True)
    own = Curve("set", 3, "lenet5", 32, 1e6, 0.001, images, errors)
    return Expected((own,), 1.0, 0.001)


FAST = expected((1_000, 0.6), (100_000, 0.45))
DEEP = expected((1_000, 0.9), (100_000, 0.25))


def rival(known, error, *, validated=10_000, seen=1_000, final=100_000):
    return Rival(known, error, validated, seen, final)


def test_one_that_learns_slowly_at_first_is_expected_to_win_in_the_end():
    fast, deep = foresee([rival(FAST, 0.6), rival(DEEP, 0.9)])
    assert fast.error == pytest.approx(0.45, rel=0.01)
    assert deep.error == pytest.approx(0.25, rel=0.01)
    assert clear(deep, fast)
    assert not clear(fast, deep)


def test_how_hard_the_data_are_is_common_to_all():
    """On data with half the errors everything is forecast at half."""
    easy = foresee([rival(FAST, 0.3), rival(DEEP, 0.45)])
    assert [each.error for each in easy] == pytest.approx([0.225, 0.125], rel=0.01)


def test_one_far_above_its_curve_late_is_believed_and_early_hardly():
    late = foresee([rival(FAST, 0.4, seen=90_000), rival(DEEP, 0.5, seen=90_000)])
    assert late[0].error < late[1].error
    early = foresee([rival(FAST, 0.55), rival(DEEP, 0.95)])
    assert early[1].error < early[0].error


def test_few_validation_examples_are_believed_less():
    surely = foresee([rival(FAST, 0.5, seen=100_000), rival(DEEP, 0.3, seen=100_000)])
    hardly = foresee(
        [rival(FAST, 0.5, seen=100_000, validated=20), rival(DEEP, 0.3, seen=100_000, validated=20)]
    )
    by_curves = math.log(0.45 / 0.25)
    ahead = [math.log(a.error / b.error) for a, b in (surely, hardly)]
    assert abs(ahead[1] - by_curves) < abs(ahead[0] - by_curves)
    assert hardly[0].log_sd > surely[0].log_sd


def test_no_mistake_at_all_is_no_certainty():
    perfect, other = foresee([rival(FAST, 0.0, validated=50), rival(DEEP, 0.02, validated=50)])
    assert perfect.error > 0
    assert perfect.log_sd > 0
    assert other.log_sd > 0
