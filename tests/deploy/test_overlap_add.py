import pytest
import torch

from convatlas.deploy.overlap_add import separate_long


class Halves:
    """Separates the positive from the negative values, in an order that changes at every call."""

    def __init__(self, levels=(1.0, 1.0), swap=True):
        self.levels, self.swap, self.calls, self.longest = levels, swap, 0, 0

    def __call__(self, x):
        self.calls += 1
        self.longest = max(self.longest, x.shape[1])
        voices = torch.stack([self.levels[0] * x.clamp(min=0), self.levels[1] * x.clamp(max=0)], 1)
        return voices.flip(1) if self.swap and self.calls % 2 == 0 else voices


def recording(samples):
    torch.manual_seed(0)
    return torch.randn(samples)


@pytest.mark.parametrize("samples", [1, 9, 10, 11, 15, 16, 101, 230])
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_voices_keep_their_order_and_length(samples, pieces):
    x = recording(samples)
    separate = Halves()
    got = torch.cat(list(separate_long(separate, x.split(pieces), 10, fit_levels=False)), 1)
    expected = torch.stack([x.clamp(min=0), x.clamp(max=0)])
    torch.testing.assert_close(got, expected)
    assert separate.longest == 10


def test_levels_are_those_that_add_up_to_the_mixture():
    x = recording(200)
    for levels in ((3.0, 0.01), (-1.0, 1.0)):
        got = torch.cat(list(separate_long(Halves(levels), [x], 20)), 1)
        torch.testing.assert_close(got.sum(0), x, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(got[0], x.clamp(min=0), rtol=1e-3, atol=1e-3)


def test_silence_stays_silent_and_nothing_gives_nothing():
    (voices,) = separate_long(Halves(), [torch.zeros(10)], 10)
    assert torch.equal(voices, torch.zeros(2, 10))
    assert list(separate_long(Halves(), [], 10)) == []
    with pytest.raises(ValueError, match="window must be an even number, got 7"):
        next(separate_long(Halves(), [torch.zeros(9)], 7))


def test_a_long_recording_is_taken_as_it_comes():
    """What comes in is asked for piece by piece, never ahead of what goes out."""
    taken = 0

    def pieces():
        nonlocal taken
        for _ in range(50):
            taken += 100
            yield recording(100)

    given = 0
    for voices in separate_long(Halves(), pieces(), 80):
        given += voices.shape[1]
        assert taken - given <= 80 + 100
    assert given == 5000
