import pytest

from convatlas.ops import counts as c


def test_sixteen_to_thirty_two_channels():
    assert c.count_conv(16, 32, 3, (1, 1)).params == 4608
    assert c.count_separable(16, 32, 3, (1, 1)).params == 144 + 512 == 656
    assert round(4608 / 656, 2) == 7.02


def test_five_by_five_on_three_channels():
    output = (8, 8)
    assert c.count_conv(3, 256, 5, output).macs == 1_228_800
    assert c.count_depthwise(3, 5, output).macs == 4_800
    assert c.count_pointwise(3, 256, output).macs == 49_152
    assert c.count_separable(3, 256, 5, output).macs == 53_952  # a text prints 52952


def test_one_layer_of_mobilenet():
    full = c.count_conv(512, 512, 3, (14, 14))
    assert round(full.macs / 1e6, 1) == 462.4
    assert round(full.params / 1e6, 2) == 2.36
    separable = c.count_separable(512, 512, 3, (14, 14))
    assert separable.macs == 903_168 + 51_380_224 == 52_283_392
    assert round(separable.params / 1e6, 2) == 0.27
    narrow = c.count_separable(384, 384, 3, (14, 14))
    assert (round(narrow.macs / 1e6, 1), round(narrow.params / 1e6, 2)) == (29.6, 0.15)
    small = c.count_separable(384, 384, 3, (10, 10))
    assert (round(small.macs / 1e6, 1), round(small.params / 1e6, 2)) == (15.1, 0.15)


def test_resolution_scales_both_terms():
    """A text forgets one factor of the resolution in the first term: both shrink by its square."""
    whole, half = (c.count_separable(8, 16, 3, (side, side)).macs for side in (14, 7))
    assert whole == 4 * half


def test_slicenet_kinds():
    def params(count):
        return count.params

    assert params(c.count_conv(1000, 1000, 31, (1,))) == 31_000_000
    assert params(c.count_separable(1000, 1000, 31, (1,))) == 1_031_000
    assert params(c.count_super_separable(1000, 1000, 31, (1,), groups=2)) == 531_000
    # 16 does not divide 1000: the sheet's 2,937,500 is the formula's value, not a layer's.
    assert 31 * 1000**2 / 16 + 1000**2 == 2_937_500
    assert params(c.count_sub_separable(1024, 1024, 31, (1,), groups=16)) == 31 * 1024**2 / 16 + (
        1024**2
    )


def test_grouped_one_by_one():
    assert c.count_pointwise(240, 240, (1, 1), groups=3).params == 19_200
    assert c.count_pointwise(240, 240, (1, 1)).params == 57_600


def test_a_kernel_of_length_six_on_one_axis_has_six_weights():
    """A text prints SwishNet's kernels as 6x6."""
    assert c.count_conv(1, 1, 6, (10,)).params == 6


def test_three_by_three_splits_into_six_weights():
    assert c.count_spatially_separable(1, 1, 3, (4, 4), between=(4, 4)).params == 6
    assert c.count_conv(1, 1, 3, (4, 4)).params == 9


def test_depthwise_separable_over_regular_is_one_over_channels_plus_one_over_taps():
    ratio = c.count_separable(24, 40, 5, (7, 7)).macs / c.count_conv(24, 40, 5, (7, 7)).macs
    assert ratio == pytest.approx(1 / 40 + 1 / 25)


def test_bias_holds_weights_and_costs_nothing():
    with_bias, without = (c.count_conv(4, 6, 3, (5, 5), bias=b) for b in (True, False))
    assert with_bias.params - without.params == 6
    assert with_bias.macs == without.macs
    assert c.count_transposed(4, 6, 3, (5, 5), bias=True).params == without.params + 6


def test_kernel_may_differ_by_axis():
    assert c.count_conv(2, 3, (1, 7), (5, 5)).params == 42
    assert c.count_pyramid(4, 8, (3, 5), (6,), dims=1).params == 4 * 8 + 4 * 8


def test_sparse_graphs_are_counted_by_their_entries():
    assert c.count_chebyshev(2, 3, 10, 4, entries=30).macs == 3 * 30 * 2 + 10 * 4 * 6
    assert c.count_first_order(2, 3, 10, entries=40).macs == 10 * 6 + 40 * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: c.count_conv(3, 4, 3, (5,), groups=2), "in_channels must be .* got 3 for 2"),
        (lambda: c.count_conv(0, 4, 3, (5,)), "in_channels must be .* got 0 for 1"),
        (lambda: c.count_conv(4, 4, (3, 3), (5,)), "must have equally many axes"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
