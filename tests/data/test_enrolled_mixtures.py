"""Mixtures with a clip: whose it is, of which utterance, and how it comes to its length."""

import pytest
import torch

from convatlas.data.audio.enrolled_mixtures import EnrolledMixtures, cut_clip


def tones(*hertz, samples=8000):
    time = torch.arange(samples) / 8000
    return [0.3 * torch.sin(2 * torch.pi * f * time) for f in hertz]


def pitch(x):
    """The loudest frequency in Hz, of a sound at 8 kHz."""
    return torch.fft.rfft(x, 8000).abs().argmax()[None].float()


SPEAKERS = {"a": tones(100, 150), "b": tones(900, 950, 1000), "c": tones(2000)}


def test_the_clip_is_of_the_first_voice_and_of_another_utterance():
    for mixture, told, voice in EnrolledMixtures(SPEAKERS, 4000, 40, describe=pitch):
        assert mixture.shape == voice.shape == (4000,)
        heard = pitch(voice)
        assert {(heard < 500).item(), (told < 500).item()} in ({True}, {False})
        assert 50 <= abs(heard - told) <= 100
        assert heard < 1500  # the third one has a single utterance: it is never wanted


def test_clips_have_the_length_asked_for_and_are_drawn_anew():
    mixtures = EnrolledMixtures(SPEAKERS, 400, 6, clip_samples=1000, fresh=True)
    first, second = mixtures[3], mixtures[3]
    assert [part.shape for part in first] == [(400,), (1000,), (400,)]
    assert not torch.equal(first[1], second[1])
    again = EnrolledMixtures(SPEAKERS, 400, 6, clip_samples=1000, fresh=True)
    assert all(torch.equal(x, y) for x, y in zip(again[3], first, strict=True))
    kept = EnrolledMixtures(SPEAKERS, 400, 6, clip_samples=1000)
    assert all(torch.equal(x, y) for x, y in zip(kept[3], kept[3], strict=True))
    draw = torch.Generator().manual_seed(0)
    short = torch.arange(1.0, 4.0)
    assert cut_clip(short, 8, draw).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert cut_clip(short, None, draw) is short


def test_a_whole_mixture_has_a_clip_of_each_voice_that_has_another_utterance():
    mixtures = EnrolledMixtures(SPEAKERS, 4000, 30, clip_samples=2000)
    alone = 0
    for index in range(30):
        mixture, voices, clips = mixtures.whole(index)
        torch.testing.assert_close(voices.sum(0), mixture)
        assert torch.equal(mixtures[index][0], mixture)
        assert torch.equal(mixtures[index][1], clips[0])
        places = list(zip(mixtures.chosen(index), mixtures.clips(index), strict=True))
        for ((who, mixed), place), voice, clip in zip(places, voices, clips, strict=True):
            utterances = list(SPEAKERS.values())[who]
            assert pitch(voice) == pitch(utterances[mixed])
            assert (clip is None) == (place is None) == (len(utterances) == 1)
            if clip is not None:
                assert place != mixed
                assert pitch(clip) == pitch(utterances[place])
            alone += clip is None
    assert alone


def test_without_a_second_utterance_nobody_can_be_wanted():
    speakers = {"a": tones(100), "b": tones(900)}
    with pytest.raises(ValueError, match="must have 2 utterances or more"):
        EnrolledMixtures(speakers, 5, 3)
