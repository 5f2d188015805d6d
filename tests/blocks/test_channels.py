import pytest

from convatlas.blocks import round_channels


@pytest.mark.parametrize("divisor", [4, 8])
def test_rounding_keeps_nine_tenths_and_stays_within_one_step(divisor):
    for channels in (n / 4 for n in range(1, 1200)):
        rounded = round_channels(channels, divisor)
        assert rounded % divisor == 0
        assert rounded >= 0.9 * channels
        assert abs(rounded - channels) <= divisor


@pytest.mark.parametrize(
    ("asked", "given"), [(32 * 0.35, 16), (24 * 0.75, 24), (16 * 0.35, 8), (320 * 1.4, 448)]
)
def test_rounding_is_that_of_the_published_grid(asked, given):
    assert round_channels(asked) == given
