"""What a network hears of a sound: windows, features, and how they are changed in training."""

import math

import pytest
import torch

from convatlas.data.audio.augment import change, mix, shift
from convatlas.data.audio.features import FRONTS, LogMelImage, SoundFeatures
from convatlas.data.audio.windows import count_windows, cut_windows, overlapping_windows
from convatlas.errors import UsageError

RATE = 8000


def tone(hz, samples=RATE):
    return 0.5 * torch.sin(2 * math.pi * hz * torch.arange(samples) / RATE)[None]


@pytest.mark.parametrize("samples", [1, 3, 4, 5, 8, 11])
def test_windows_cover_a_sound_of_any_length(samples):
    x = torch.arange(1.0, samples + 1)[None]
    windows = cut_windows(x, 4)
    assert windows.shape == (1, count_windows(samples, 4), 4)
    heard = {int(v) for v in windows.flatten() if v}
    assert heard == set(range(1, samples + 1))
    if samples >= 4:
        assert windows[0, 0].tolist() == [1, 2, 3, 4]
        assert windows[0, -1].tolist() == x[0, -4:].tolist()


def test_a_short_sound_stands_in_the_middle():
    assert cut_windows(torch.ones(1, 3), 6)[0].tolist() == [[0, 1, 1, 1, 0, 0]]


def test_training_windows_overlap_and_reach_both_ends():
    x = torch.arange(20.0)
    windows = overlapping_windows(x, 8, 16)
    assert [int(w[0]) for w in windows] == [0, 4, 8, 12]
    assert len(overlapping_windows(x, 8, 2)) == 2
    assert overlapping_windows(x, 30, 2).shape == (1, 30)


@pytest.mark.parametrize(
    ("rate", "samples", "size"), [(8000, 2000, 32), (16_000, 80_000, 64), (22_050, 66_150, 128)]
)
def test_the_image_is_square_and_every_band_hears_something(rate, samples, size):
    front = LogMelImage(rate, samples, size)
    image = front(torch.randn(2, samples, generator=torch.Generator().manual_seed(0)))
    assert image.shape == (2, 1, size, size)
    assert (front.mel.filters.sum(1) > 0).all()
    assert float(front(torch.zeros(1, samples)).abs().max()) == 0  # silence


def test_bands_follow_frequency_and_columns_time():
    front = LogMelImage(RATE, RATE, 32)
    rows = [int(front(tone(hz))[0, 0].mean(1).argmax()) for hz in (200, 800, 2000, 3500)]
    assert rows == sorted(set(rows))
    late = torch.cat([torch.zeros(1, RATE // 2), tone(800, RATE // 2)], dim=1)
    loud = front(late)[0, 0].mean(0)
    assert loud[:14].max() < loud[18:].min()
    full = front(2 * tone(800))[0, 0].max()
    assert 0.9 < float(full) / math.log(1e9) < 1.1  # a tone at full scale has about 90 dB


@pytest.mark.parametrize("front", FRONTS)
def test_features_are_standardised_by_channel_and_built_again(front):
    x = torch.randn(6, RATE, generator=torch.Generator().manual_seed(1)) * 0.1
    plain = SoundFeatures(RATE, front, RATE, 32).front(x)
    form = {"front": front, "samples": RATE, "size": 32}
    features = SoundFeatures.fit(plain, RATE, form)
    channels = features(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)), atol=1e-3, rtol=0)
    torch.testing.assert_close(channels.std(1), torch.ones(len(channels)), atol=1e-3, rtol=0)
    again = SoundFeatures(RATE, **features.settings())
    torch.testing.assert_close(again(x), features(x), atol=1e-4, rtol=1e-4)


def test_what_no_network_can_hear_is_refused():
    with pytest.raises(UsageError, match=r"no front end 'mel'.*log_mel"):
        SoundFeatures(RATE, "mel", RATE, 32)
    with pytest.raises(UsageError, match="20 samples for 32 columns"):
        LogMelImage(RATE, 20, 32)


@pytest.mark.parametrize("shape", [(6, 1, 16, 20), (6, 20, 30)])
def test_training_sounds_are_changed_each_by_itself(shape):
    torch.manual_seed(0)
    x = torch.randn(1, *shape[1:]).expand(shape).clone()
    changed = change(x, gain=False)
    assert changed.shape == x.shape
    assert len({tuple(each.flatten().tolist()) for each in changed}) == len(x)
    assert set(changed.flatten().tolist()) - {0.0} <= set(x.flatten().tolist())
    moved = shift(x)
    assert torch.allclose(moved.sort(-1).values, x.sort(-1).values)
    louder = change(x, gain=True)
    kept = (louder != 0) & (louder != -0.0)
    assert float((louder[kept].abs().max() - x.abs().max()).abs()) <= 0.36


def test_mixed_sounds_keep_at_least_half_of_themselves():
    torch.manual_seed(0)
    x = torch.randn(8, 1, 4, 4)
    mixture, others, share = mix(x)
    assert 0.5 <= share <= 1
    torch.testing.assert_close(mixture, share * x + (1 - share) * x[others])
