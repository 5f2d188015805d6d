from types import SimpleNamespace

from convatlas.search.costed import CostedCandidate
from convatlas.search.known_curves import Curve, KnownCurves
from convatlas.search.shortlist import choose_expected, choose_shortlist
from convatlas.search.space import Candidate


def made(name, macs, width=1.0):
    return CostedCandidate(
        Candidate(name, {"width": width}, {"size": 32}), SimpleNamespace(macs=macs, params=macs)
    )


def pool_of(fitting, places, epoch_seconds, slot_s=lambda places: 1.0):
    return choose_shortlist(
        fitting,
        places=range(places, 0, -1),
        slot_s=slot_s,
        epoch_seconds=epoch_seconds,
        least_epochs=0.5,
    )


FITTING = [
    made("resnet18", 5e6),
    made("resnet18", 4e6, 0.5),
    made("resnet18", 3e6, 0.35),
    made("lenet5", 1e5),
    made("linear_classifier", 5e3),
]


def test_costly_middling_and_cheap_take_turns():
    pool = pool_of(FITTING, 3, lambda c: 0.1)
    assert [c.candidate.name for c in pool.chosen] == ["resnet18", "lenet5", "linear_classifier"]
    assert len(pool.left_out) == 2


def test_an_architecture_takes_two_places_at_most():
    pool = pool_of(FITTING, 5, lambda c: 0.1)
    assert [c.candidate.name for c in pool.chosen].count("resnet18") == 2
    deeper = [made("resnet34", 6e6), made("resnet50", 7e6), *FITTING]
    names = [c.candidate.name for c in pool_of(deeper, 8, lambda c: 0.1).chosen]
    assert sum(name.startswith("resnet") for name in names) == 2


def test_one_too_slow_to_learn_is_left_out_and_says_so():
    pool = pool_of(FITTING, 5, lambda c: c.cost.macs / 1e6)
    assert [c.candidate.name for c in pool.chosen] == ["lenet5", "linear_classifier"]
    assert "too slow: one epoch takes 5 s, 2 s allowed" in pool.left_out.values()


def test_where_all_are_too_slow_the_cheapest_is_tried():
    pool = pool_of(FITTING, 5, lambda c: 1e9)
    assert [c.candidate.name for c in pool.chosen] == ["linear_classifier"]
    slow = [reason for reason in pool.left_out.values() if reason.startswith("too slow")]
    assert slow
    assert not [reason for reason in slow if ", 0 s allowed" in reason]  # what a round would give


def test_where_no_round_is_long_enough_one_that_sees_every_example_is_trained_alone():
    def alone(epoch_seconds):
        return choose_shortlist(
            FITTING,
            places=range(5, 2, -1),
            slot_s=lambda places: 10.0 if places == 1 else 0.1,
            epoch_seconds=epoch_seconds,
            least_epochs=0.5,
        )

    pool = alone(lambda c: 2 + c.cost.macs / 1e6)  # half a pass fits into no round
    assert [(c.candidate.name, c.cost.macs) for c in pool.chosen] == [("resnet18", 5e6)]
    assert set(pool.left_out.values()) == {"fits; ranked lower"}  # each would see every example too
    slower = alone(lambda c: 2 + 2 * c.cost.macs / 1e6)  # 12 s: less than one pass
    assert [c.cost.macs for c in slower.chosen] == [1e5]  # the next in turn
    assert [c.candidate.name for c in alone(lambda c: 11.0).chosen] == ["linear_classifier"]


def test_nothing_fits_nothing_chosen():
    assert pool_of([], 5, lambda c: 1).chosen == []


def test_only_those_whose_turn_has_come_are_measured():
    asked = []
    pool_of(FITTING, 1, lambda c: asked.append(c) or 0.1)
    assert len(asked) == 1


def test_fewer_take_part_where_only_a_longer_round_teaches_anything():
    """Of 5.4 s shared, only two places leave the costly one the time for half a pass."""
    three = [FITTING[0], *FITTING[3:]]
    pool = pool_of(three, 3, lambda c: c.cost.macs / 1e6, slot_s=lambda places: 5.4 / places)
    assert [c.candidate.name for c in pool.chosen] == ["resnet18", "lenet5"]


def test_none_is_measured_twice():
    asked = []
    pool_of(FITTING, 5, lambda c: asked.append(c.candidate) or 1e9)
    assert len(asked) == len(set(asked))


def curve_of(model, macs, last):
    return Curve("set", 3, model, 32, macs, macs / 1e9, (1_000, 100_000), (0.9, last))


KNOWN = KnownCurves(
    [
        curve_of("resnet18", 5e6, 0.2),
        curve_of("lenet5", 1e5, 0.5),
        curve_of("linear_classifier", 5e3, 0.7),
    ]
)


def expected_of(places, seen, known=KNOWN):
    return choose_expected(
        FITTING,
        places=places,
        known=known,
        images=lambda expected: 100_000,
        measured_images=seen,
        least=1_000,
    )


def test_those_that_are_expected_to_reach_most_in_the_time_take_part():
    chosen = expected_of(2, lambda c: 100_000).chosen
    assert [c.candidate.name for c in chosen] == ["resnet18", "lenet5"]


def test_a_step_that_is_slower_than_its_curve_says_costs_its_place():
    found = expected_of(1, lambda c: 2_000 if c.cost.macs > 1e6 else 100_000)
    assert [c.candidate.name for c in found.chosen] == ["lenet5"]
    assert set(found.left_out.values()) == {"fits; expected to reach less in the time"}


def test_those_over_a_measured_limit_do_not_keep_others_from_their_turn():
    """All of the three that look best are over it; the next ones are measured as well."""
    found = expected_of(1, lambda c: 0.0 if c.candidate.name == "resnet18" else 100_000)
    assert [c.candidate.name for c in found.chosen] == ["lenet5"]


def test_one_that_would_see_less_than_a_pass_is_too_slow():
    found = expected_of(1, lambda c: 900 if c.candidate.name == "resnet18" else 100_000)
    assert "too slow: sees 900 training examples in the time, 1,000 needed" in (
        found.left_out.values()
    )


def test_where_all_expected_are_too_slow_the_cheapest_is_tried():
    assert [c.candidate.name for c in expected_of(2, lambda c: 0.0).chosen] == ["linear_classifier"]
