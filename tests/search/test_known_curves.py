"""What recorded curves promise of networks before they train."""

import math

import pytest

from convatlas.models import find_entry
from convatlas.search.known_curves import FARTHEST, SLOWING, Curve, KnownCurves, known_curves
from convatlas.search.space import Candidate


def curve(model="lenet5", macs=1e6, points=((1000, 0.8), (4000, 0.4)), **further):
    images, errors = zip(*points, strict=True)
    own = {"data": "set", "channels": 3, "size": 32, "seconds": 0.001} | further
    return Curve(model=model, macs=macs, images=images, errors=errors, **own)


def test_a_curve_goes_through_its_points_and_straight_between_their_logarithms():
    known = curve()
    assert known.error(1000) == pytest.approx(0.8)
    assert known.error(4000) == pytest.approx(0.4)
    assert known.error(2000) == pytest.approx(math.sqrt(0.8 * 0.4))
    assert known.error(10) == 1.0  # never worse than nothing right


def test_beyond_its_last_point_a_curve_falls_more_slowly_and_not_for_ever():
    known = curve()
    slope = math.log(0.4 / 0.8) / math.log(4)
    assert known.error(8000) == pytest.approx(0.4 * 2 ** (SLOWING * slope))
    assert known.error(4000 * FARTHEST) == pytest.approx(known.error(1e12))


def test_a_recorded_network_is_expected_to_do_as_it_did_and_a_wider_one_better_for_more_time():
    known = KnownCurves([curve(), curve("vgg11", 1e8, ((1000, 0.9), (4000, 0.7)))])
    same, wider = known.expect("lenet5", 1e6), known.expect("lenet5", 2e6)
    assert same.error(4000) == pytest.approx(0.4)
    assert same.seconds == pytest.approx(0.001)
    assert wider.error(4000) < same.error(4000)
    assert wider.seconds > same.seconds


def test_the_nearest_recorded_width_counts():
    known = KnownCurves([curve(), curve(macs=1e7, points=((1000, 0.7), (4000, 0.3)))])
    assert known.expect("lenet5", 9e6).curves[0].macs == 1e7


def test_an_unknown_network_is_placed_among_those_of_its_cost_and_promises_less():
    known = KnownCurves([curve(), curve("vgg11", 1e8, ((1000, 0.9), (4000, 0.7)))])
    assert not known.knows("squeezenet")
    placed = known.expect("squeezenet", 1e6)
    assert len(placed.curves) == 2
    assert placed.error(4000) > known.expect("lenet5", 1e6).error(4000)
    assert known.expect("squeezenet", 1e3).error(4000) > placed.error(4000)


def test_another_variant_of_a_recorded_architecture_is_like_it_but_promises_less():
    known = KnownCurves([curve("vgg11", 1e6), curve("lenet5", 1e6, ((1000, 0.3), (4000, 0.1)))])
    variant = known.expect("vgg13", 1e6)
    assert [each.model for each in variant.curves] == ["vgg11"]
    assert variant.error(4000) > known.expect("vgg11", 1e6).error(4000)


def asked(size=32, channels=3, **further):
    return [Candidate("lenet5", {"in_channels": channels}, {"size": size}, **further)]


def test_the_curves_in_the_package_are_of_registered_networks_and_fall():
    known = known_curves("classify", asked())
    assert known is not None
    assert len(known.curves) >= 20
    for each in known.curves:
        find_entry(each.model)
        assert list(each.images) == sorted(each.images)
        assert each.error(each.images[-1]) <= each.error(each.images[0]) + 0.02
        assert each.seconds > 0


@pytest.mark.parametrize(
    ("size", "channels", "data"),
    [(32, 3, "cifar10"), (28, 1, "fashion_mnist"), (224, 3, "clothing"), (24, 1, "fashion_mnist")],
)
def test_the_data_set_with_images_most_like_the_candidates_counts(size, channels, data):
    known = known_curves("classify", asked(size, channels))
    assert known is not None
    assert {each.data for each in known.curves} == {data}


def test_nothing_is_known_of_another_task_or_of_public_weights():
    assert known_curves("signals", asked()) is None
    assert known_curves("classify", []) is None
    assert known_curves("classify", asked(checkpoint=object())) is None
    assert known_curves("classify", [Candidate("lenet5", {}, {"length": 100})]) is None
