import pytest
import torch

from convatlas.models.speech.speaker_statistics import SpeakerStatistics


def voice(hertz, seed, seconds=1.0):
    """A made-up speaker: a fundamental with falling overtones, which comes and goes, and noise."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(round(8000 * seconds)) / 8000
    sound = sum(torch.sin(2 * torch.pi * k * hertz * time) / k for k in range(1, 6))
    envelope = (torch.sin(2 * torch.pi * 3 * time + seed) > -0.3).float()
    return sound * envelope + 0.01 * torch.randn(len(time), generator=draw)


def test_clips_of_one_speaker_are_nearer_than_those_of_two_whatever_their_loudness_and_length():
    vector = SpeakerStatistics()
    low, low_again, high = (
        vector(x[None])[0]
        for x in (voice(110, 1), 0.01 * voice(112, 2, seconds=1.7), voice(230, 3))
    )
    assert low.shape == (80,)
    assert (low - low_again).norm() < 0.5 * (low - high).norm()


def test_loudness_does_not_count_and_silence_is_finite():
    vector = SpeakerStatistics(bands=20)
    x = torch.stack([voice(120, 1), 5 * voice(120, 1), torch.zeros(8000)])
    first, louder, silent = vector(x)
    torch.testing.assert_close(first, louder, rtol=1e-4, atol=1e-4)
    assert silent.isfinite().all()
    with pytest.raises(ValueError, match=r"waveforms .* from 256 samples up"):
        vector(torch.zeros(1, 255))
