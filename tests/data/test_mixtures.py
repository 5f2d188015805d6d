import pytest
import torch

from convatlas.data.audio.mixtures import Mixtures, mix_at_levels


def tones(*hertz, samples=400):
    time = torch.arange(samples) / 8000
    return [0.3 * torch.sin(2 * torch.pi * f * time) for f in hertz]


def level(voice):
    return 10 * voice.square().mean().log10()


def test_voices_stand_at_their_levels_and_add_up_to_the_mixture():
    torch.manual_seed(0)
    voices = torch.randn(3, 500) * torch.tensor([[0.01], [1.0], [30.0]])
    mixture, scaled = mix_at_levels(voices, [0.0, -5.0, 2.5])
    torch.testing.assert_close(scaled.sum(0), mixture)
    assert mixture.abs().max().item() == pytest.approx(0.9)
    levels = [level(voice) - level(scaled[0]) for voice in scaled]
    assert [x.item() for x in levels] == pytest.approx([0, -5, 2.5], abs=1e-4)
    for before, after in zip(voices, scaled, strict=True):
        torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_a_number_always_gives_the_same_mixture_of_two_speakers():
    speakers = {
        name: tones(*hertz) for name, hertz in {"a": [100, 120], "b": [900], "c": [2000]}.items()
    }
    mixtures = Mixtures(speakers, 300, 50)
    assert len(mixtures) == len(list(mixtures)) == 50
    again = Mixtures(speakers, 300, 50)
    for index in (0, 7, 49):
        for a, b in zip(mixtures[index], again[index], strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(mixtures[0][0], mixtures[1][0])
    assert not torch.equal(mixtures[0][0], Mixtures(speakers, 300, 50, seed=1)[0][0])
    for mixture, voices in mixtures:
        torch.testing.assert_close(voices.sum(0), mixture)
        assert abs(level(voices[0]) - level(voices[1])) <= 5.001
        peaks = torch.fft.rfft(voices, 8000).abs().argmax(1)
        assert sum(peak < 200 for peak in peaks) <= 1  # never the same speaker twice


def test_fresh_mixtures_are_others_each_time_and_yet_the_same_in_the_next_run():
    speakers = {"a": tones(100, 120), "b": tones(900)}
    mixtures = Mixtures(speakers, 300, 5, fresh=True)
    first, second = mixtures[2][0], mixtures[2][0]
    assert not torch.equal(first, second)
    again = Mixtures(speakers, 300, 5, fresh=True)
    assert torch.equal(again[2][0], first)
    assert torch.equal(again[2][0], second)


def test_a_short_utterance_is_filled_and_silence_is_not_mixed():
    speakers = {"a": tones(100, samples=50), "b": [torch.cat([torch.zeros(600), tones(500)[0]])]}
    for _, voices in Mixtures(speakers, 200, 20, levels_db=(0, 0)):
        assert (voices.abs().amax(1) > 0).all()
    with pytest.raises(ValueError, match="pieces of one utterance were silent"):
        Mixtures({"a": tones(100), "b": [torch.zeros(900)]}, 200, 1)[0]


def test_too_few_speakers_or_utterances_are_refused():
    with pytest.raises(ValueError, match="2 voices must be of different speakers, got 1"):
        Mixtures({"a": [torch.ones(9)]}, 5, 3)
    with pytest.raises(ValueError, match="'b' has none"):
        Mixtures({"a": [torch.ones(9)], "b": []}, 5, 3)


def test_levels_must_fit_and_silence_has_none():
    with pytest.raises(ValueError, match="each of 2 voices must have a level, got 1"):
        mix_at_levels(torch.ones(2, 5), [0.0])
    with pytest.raises(ValueError, match="a voice is silent"):
        mix_at_levels(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), [0.0, 0.0])


def test_an_epoch_gives_the_same_mixtures_however_often_they_were_asked_for_before():
    speakers = {"a": tones(100, 120), "b": tones(900), "c": tones(2000)}
    made, again = (Mixtures(speakers, 300, 4, fresh=True) for _ in range(2))
    made.begin_epoch(2)
    first = [made[0][0], made[0][0], made[3][0]]
    asked = [again[0][0] for _ in range(3)]
    again.begin_epoch(2)
    for mixture, same in zip(first, [again[0][0], again[0][0], again[3][0]], strict=True):
        assert torch.equal(mixture, same)
    assert not torch.equal(first[0], first[1])
    assert torch.equal(asked[2], first[0])  # the third time is that of the third epoch
