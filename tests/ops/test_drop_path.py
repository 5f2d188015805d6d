import pytest
import torch

from convatlas.ops import (
    draw_column,
    global_drop_path,
    join_mean,
    linear_survival,
    local_drop_path,
)

# Any mean of some of these is another number: it tells which paths were kept.
PATHS = [torch.full((1, 1, 2), value) for value in (1.0, 10.0, 100.0)]
MEANS = {
    1.0: (0,),
    10.0: (1,),
    100.0: (2,),
    5.5: (0, 1),
    50.5: (0, 2),
    55.0: (1, 2),
    37.0: (0, 1, 2),
}


def test_a_join_is_a_mean_not_a_sum_and_not_a_concatenation():
    joined = join_mean(PATHS)
    assert joined.shape == PATHS[0].shape
    assert joined.unique().tolist() == [37]


def test_out_of_training_all_paths_are_on():
    assert torch.equal(local_drop_path(PATHS, 0.9, training=False), join_mean(PATHS))


def test_local_draws_have_the_stated_chances():
    generator = torch.Generator().manual_seed(0)
    draws = 3000
    kept = [
        MEANS[local_drop_path(PATHS, 0.4, training=True, generator=generator)[0, 0, 0].item()]
        for _ in range(draws)
    ]
    # Never none; a path alone: it survived alone, or was the one kept of none.
    expected = {
        1: 3 * 0.6 * 0.4**2 + 0.4**3,
        2: 3 * 0.6**2 * 0.4,
        3: 0.6**3,
    }
    for length, chance in expected.items():
        share = sum(len(paths) == length for paths in kept) / draws
        assert abs(share - chance) < 5 * (chance * (1 - chance) / draws) ** 0.5
    for path in range(3):
        share = sum(paths == (path,) for paths in kept) / draws
        assert abs(share - expected[1] / 3) < 0.04


def test_gradients_reach_only_what_is_kept():
    paths = [torch.ones(1, 1, 1, requires_grad=True) for _ in range(3)]
    generator = torch.Generator().manual_seed(3)
    local_drop_path(paths, 0.6, training=True, generator=generator).sum().backward()
    slopes = [0.0 if path.grad is None else path.grad.item() for path in paths]
    assert sum(slopes) == pytest.approx(1)
    assert 0.0 in slopes


def test_global_passes_one_column_everywhere():
    by_column = dict(enumerate(PATHS))
    for column in range(3):
        assert torch.equal(global_drop_path(by_column, column), PATHS[column])
    # The inner join of columns 1 and 2: column 0 does not come by.
    inner = {1: PATHS[1], 2: PATHS[2]}
    assert global_drop_path(inner, 0).unique().tolist() == [55]


def test_columns_are_drawn_equally_often():
    generator = torch.Generator().manual_seed(0)
    drawn = [draw_column(4, generator=generator) for _ in range(2000)]
    assert all(abs(drawn.count(column) - 500) < 5 * 19.4 for column in range(4))


def test_survival_falls_in_a_line():
    """Texts print 1 - l / (1 - p_L); the paper has 1 - l / L (1 - p_L)."""
    chances = [linear_survival(unit, 54) for unit in range(55)]
    assert (chances[0], chances[54], chances[27]) == (1, 0.5, 0.75)
    assert sum(chances[1:]) == pytest.approx((3 * 54 - 1) / 4) == 40.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: join_mean([]), "paths must have one shape, got no path"),
        (lambda: join_mean([PATHS[0], torch.zeros(1, 2, 2)]), "must have one shape, got"),
        (lambda: local_drop_path(PATHS, 1.0, training=True), "from 0 to under 1, got 1.0"),
        (lambda: draw_column(0), "columns must be 1 or more, got 0"),
        (lambda: linear_survival(5, 4), "from 0 to 4"),
    ],
)
def test_impossible_numbers_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
