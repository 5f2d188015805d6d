from types import SimpleNamespace

from convatlas.search.counted import Counted
from convatlas.search.pool import choose_pool
from convatlas.search.space import Candidate


def made(name, macs, width=1.0):
    return Counted(Candidate(name, {"width": width}, 32), SimpleNamespace(macs=macs, params=macs))


FITTING = [
    made("big", 5e6),
    made("big", 4e6, 0.5),
    made("big", 3e6, 0.35),
    made("middle", 1e5),
    made("small", 5e3),
]


def test_costly_middling_and_cheap_take_turns():
    pool = choose_pool(FITTING, places=3, slot_s=1, epoch_seconds=lambda c: 0.1)
    assert [c.candidate.name for c in pool.chosen] == ["big", "middle", "small"]
    assert len(pool.left_out) == 2


def test_a_network_takes_two_places_at_most():
    pool = choose_pool(FITTING, places=5, slot_s=1, epoch_seconds=lambda c: 0.1)
    assert [c.candidate.name for c in pool.chosen].count("big") == 2


def test_one_too_slow_to_learn_is_left_out_and_says_so():
    pool = choose_pool(FITTING, places=5, slot_s=1, epoch_seconds=lambda c: c.cost.macs / 1e6)
    assert [c.candidate.name for c in pool.chosen] == ["middle", "small"]
    assert "too slow to learn in its time (0.2 epochs)" in pool.left_out.values()


def test_where_all_are_too_slow_the_cheapest_is_tried():
    pool = choose_pool(FITTING, places=5, slot_s=1, epoch_seconds=lambda c: 1e9)
    assert [c.candidate.name for c in pool.chosen] == ["small"]


def test_nothing_fits_nothing_chosen():
    assert choose_pool([], places=5, slot_s=1, epoch_seconds=lambda c: 1).chosen == []


def test_only_those_whose_turn_has_come_are_measured():
    asked = []
    choose_pool(FITTING, places=1, slot_s=1, epoch_seconds=lambda c: asked.append(c) or 0.1)
    assert len(asked) == 1
