import pytest
import torch

from convatlas.errors import UsageError
from convatlas.ops.time_warping import time_warping


def slow(x, y, band):
    """The recurrence as it is written, for one pair."""
    table = {(-1, -1): 0.0}
    for i in range(len(x)):
        for j in range(len(y)):
            if abs(i - j) <= band:
                ways = ((i - 1, j), (i, j - 1), (i - 1, j - 1))
                least = min(table.get(way, float("inf")) for way in ways)
                table[i, j] = least + (x[i] - y[j]) ** 2
    return table[len(x) - 1, len(y) - 1] ** 0.5


@pytest.mark.parametrize("band", [0, 1, 3, 20])
def test_equals_the_slow_plain_version(band):
    torch.manual_seed(0)
    x, y = torch.randn(2, 5, 9, dtype=torch.float64)
    got = time_warping(x, y, band=band)
    expected = [slow(a.tolist(), b.tolist(), band) for a, b in zip(x, y, strict=True)]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


def test_is_symmetric_nothing_to_itself_and_at_most_the_euclidean_distance():
    torch.manual_seed(1)
    x, y = torch.randn(2, 6, 12, dtype=torch.float64)
    got = time_warping(x, y, band=4)
    torch.testing.assert_close(time_warping(y, x, band=4), got)
    assert torch.equal(time_warping(x, x, band=4), torch.zeros(6, dtype=torch.float64))
    euclid = (x - y).square().sum(1).sqrt()
    assert (got <= euclid + 1e-12).all()
    torch.testing.assert_close(time_warping(x, y, band=0), euclid)


def test_a_shift_within_the_band_is_forgiven():
    pulse = torch.zeros(1, 20, dtype=torch.float64)
    pulse[0, 5:8] = 1
    assert float(time_warping(pulse, pulse.roll(2, 1), band=2)) == 0
    assert float(time_warping(pulse, pulse.roll(2, 1), band=1)) > 0


def test_series_of_other_lengths_are_refused():
    with pytest.raises(UsageError, match="one shape"):
        time_warping(torch.zeros(2, 3), torch.zeros(2, 4), band=1)
