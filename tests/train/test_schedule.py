import math

import pytest

from convatlas.errors import UsageError
from convatlas.train.recipe import Recipe
from convatlas.train.schedule import Plateau


def rates(places, **options):
    recipe = Recipe(warmup=0.0, final_lr_fraction=0.0, **options)
    return [recipe.rate(place) for place in places]


def test_steps_of_a_wide_resnet_fall_at_its_epochs():
    epochs = (0, 59, 60, 119, 120, 159, 160, 199)
    shares = [epoch / 200 for epoch in epochs]
    found = rates(shares, schedule="step", milestones=(0.3, 0.6, 0.8), lr_factor=0.2)
    assert found == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04, 0.008, 0.008])


def test_a_step_every_few_epochs_is_a_staircase_and_exponential_its_smooth_line():
    stairs = rates([0, 0.019, 0.02, 0.5], schedule="step", lr_every=0.02, lr_factor=0.94)
    assert stairs == pytest.approx([1, 1, 0.94, 0.94**25])
    smooth = rates([0, 0.01, 0.5], schedule="exponential", lr_every=0.02, lr_factor=0.94)
    assert smooth == pytest.approx([1, 0.94**0.5, 0.94**25])


def test_linear_falls_to_its_end_and_by_its_power():
    assert rates([0, 0.25, 1], schedule="linear") == pytest.approx([1, 0.75, 0])
    assert rates([0.25, 0.5], schedule="linear", lr_power=2) == pytest.approx([0.5625, 0.25])


def test_halving_divides_at_the_epochs_of_fractalnet():
    epochs = (0, 199, 200, 299, 300, 349, 350, 374, 375, 399)
    found = rates([epoch / 400 for epoch in epochs], schedule="halving")
    assert found == pytest.approx([1, 1, 0.1, 0.1, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4])


def test_a_floor_holds_any_schedule_and_a_warm_up_may_start_above_zero():
    recipe = Recipe(schedule="halving", warmup=0.1, warmup_start=0.25, final_lr_fraction=0.05)
    assert [recipe.rate(each) for each in (0, 0.05, 0.1, 0.99)] == [0.25, 0.625, 1.0, 0.05]
    assert Recipe(schedule="constant", warmup=0).rate(0.9) == 1.0


def test_a_plateau_divides_only_after_so_long_without_a_better_validation():
    plateau = Plateau(Recipe(schedule="plateau", lr_every=0.2, lr_factor=0.1))
    dropped = []
    for done, best in ((0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (0.4, 0.1), (0.5, 0.1), (0.6, 0.6)):
        plateau.validated(done, best)
        dropped.append(plateau.dropped)
    assert dropped == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    cosine = Plateau(Recipe())
    cosine.validated(1.0, 0.0)
    assert cosine.dropped == 1.0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("schedule", {"schedule": "cosinus"}),
        ("milestones", {"schedule": "step", "milestones": (0.5, 0.3), "lr_every": 0.1}),
        ("lr_every", {"schedule": "step"}),
        ("lr_every", {"schedule": "plateau"}),
        ("lr_factor", {"lr_factor": 2.0}),
    ],
)
def test_schedules_that_cannot_be_are_refused_by_name(name, options):
    with pytest.raises(UsageError, match=f"{name} cannot be"):
        Recipe(**options)


def test_the_default_is_half_a_cosine_as_it_was():
    recipe = Recipe()
    done = (0.55 - 0.1) / 0.9
    expected = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))
    assert recipe.rate(0.55) == pytest.approx(expected)
