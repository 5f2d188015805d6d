import pytest

from convatlas.search.halving import Rung, plan_rungs, successive_halving


@pytest.mark.parametrize("places", [1, 2, 3, 6, 12])
def test_rounds_use_the_time_and_leave_more_than_half_for_the_winner(places):
    rungs = plan_rungs(places, 100.0)
    assert sum(rung.places * rung.seconds for rung in rungs) == pytest.approx(100.0)
    assert rungs[-1].places == 1
    assert rungs[-1].seconds >= 60.0
    assert [rung.places for rung in rungs] == sorted((r.places for r in rungs), reverse=True)


def by(scores):
    """Sort items by their scores, those without one last."""
    return lambda items: sorted(
        items, key=lambda i: -1.0 if scores[i] is None else scores[i], reverse=True
    )


def test_the_best_by_its_score_survives():
    quality = {"a": 0.2, "b": 0.9, "c": 0.5, "d": 0.8, "e": None, "f": 0.1}
    trained, dropped = [], []
    left = successive_halving(
        "abcdef",
        plan_rungs(6, 10),
        lambda item, seconds, last: trained.append((item, last)),
        by(quality),
        lambda item, n: dropped.append((item, n)),
    )
    assert left == ["b"]
    assert {item for item, number in dropped if number == 1} == {"c", "a", "f", "e"}
    assert ("d", 2) in dropped
    assert trained[-1] == ("b", True)


def test_an_early_leader_that_falls_back_is_overtaken():
    scores = {"fast": iter([0.6, 0.65]), "deep": iter([0.5, 0.8, 0.9]), "none": iter([0.1])}
    reached = {}
    left = successive_halving(
        ["fast", "deep", "none"],
        [Rung(3, 1.0), Rung(2, 1.0), Rung(1, 1.0)],
        lambda item, seconds, last: reached.update({item: next(scores[item])}),
        by(reached),
        lambda *a: None,
    )
    assert left == ["deep"]


def test_once_it_is_decided_the_winner_gets_the_time_of_the_rounds_that_are_left_out():
    spent, dropped = [], []
    left = successive_halving(
        "abc",
        [Rung(3, 1.0), Rung(2, 2.0), Rung(1, 5.0)],
        lambda item, seconds, last: spent.append((item, seconds, last)),
        by({"a": 1.0, "b": 0.5, "c": 0.1}),
        lambda item, number: dropped.append((item, number)),
        lambda items: True,
    )
    assert left == ["a"]
    assert spent == [("a", 1.0, False), ("b", 1.0, False), ("c", 1.0, False), ("a", 9.0, True)]
    assert dropped == [("b", 1), ("c", 1)]
