import pytest

from convatlas.claims.printed import half_unit, printed_value


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("3.4M", 3.4e6),
        ("60,000", 60_000),
        ("11.3x10^9", 11.3e9),
        ("2.3G", 2.3e9),
        ("15.1B", 15.1e9),
        ("75ms", 0.075),
        ("6.43%", 6.43),
        ("0.66MB", 660_000),
    ],
)
def test_a_printed_figure_becomes_a_plain_number(printed, value):
    assert printed_value(printed) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("printed", "smallest", "largest"),
    [("3.4M", 3.35e6, 3.45e6), ("569M", 568.5e6, 569.5e6), ("60,000", 59_999.5, 60_000.5)],
)
def test_the_tolerance_is_what_rounding_to_the_last_digit_can_hide(printed, smallest, largest):
    value, within = printed_value(printed), half_unit(printed)
    assert value * (1 - within) == pytest.approx(smallest, rel=1e-12)
    assert value * (1 + within) == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("printed", ["", "many", "3.4 parsecs", "3,4.5.6", "-3M", "~3M"])
def test_what_is_no_number_is_refused(printed):
    with pytest.raises(ValueError, match="printed: must be a number"):
        printed_value(printed)


def test_zero_has_no_relative_tolerance():
    with pytest.raises(ValueError, match="must not be zero"):
        half_unit("0.0M")
