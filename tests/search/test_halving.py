import pytest

from convatlas.search.halving import plan_rungs, successive_halving


@pytest.mark.parametrize("places", [1, 2, 3, 6, 12])
def test_rounds_use_the_time_and_leave_half_for_the_winner(places):
    rungs = plan_rungs(places, 100.0)
    assert sum(rung.places * rung.seconds for rung in rungs) == pytest.approx(100.0)
    assert rungs[-1].places == 1
    assert rungs[-1].seconds >= 50.0
    assert [rung.places for rung in rungs] == sorted((r.places for r in rungs), reverse=True)


def test_the_best_by_its_score_survives():
    quality = {"a": 0.2, "b": 0.9, "c": 0.5, "d": 0.8, "e": None, "f": 0.1}
    trained, dropped = [], []

    def train(item, seconds, last):
        trained.append((item, last))
        return quality[item]

    left = successive_halving(
        "abcdef", plan_rungs(6, 10), train, lambda item, n: dropped.append((item, n))
    )
    assert left == ["b"]
    assert {item for item, number in dropped if number == 1} == {"c", "a", "f", "e"}
    assert ("d", 2) in dropped
    assert trained[-1] == ("b", True)


def test_an_early_leader_that_falls_back_is_overtaken():
    scores = {"fast": iter([0.6, 0.65]), "deep": iter([0.5, 0.8, 0.9]), "none": iter([0.1])}
    rungs = plan_rungs(3, 9)
    rungs.insert(1, type(rungs[0])(2, 1.0))
    left = successive_halving(
        ["fast", "deep", "none"], rungs, lambda i, s, f: next(scores[i]), lambda *a: None
    )
    assert left == ["deep"]
