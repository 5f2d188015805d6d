"""STOI and PESQ: voice and estimate in their order; what can have no figure has none."""

import pytest
import torch

from convatlas.explain.signals import speech_quality
from convatlas.explain.signals.speech_quality import (
    SpeechQuality,
    judged_places,
    quality_lines,
    speech_figures,
)

RATE = 8000


def talk(seconds=2.0, seed=0):
    """Harmonics that come and go as syllables do."""
    draw = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * RATE)) / RATE
    tone = sum(torch.sin(2 * torch.pi * 130 * n * time) / n for n in range(1, 25))
    syllables = torch.rand(round(seconds * 5), generator=draw).repeat_interleave(RATE // 5)
    return 0.1 * tone * syllables[: len(time)]


def noise(voice, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return 0.05 * torch.randn(len(voice), generator=draw)


@pytest.mark.filterwarnings("ignore")
def test_stoi_is_that_of_torchmetrics():
    pytest.importorskip("pystoi")
    audio = pytest.importorskip("torchmetrics.functional.audio.stoi")
    voice = talk()
    heard = voice + noise(voice)
    theirs = audio.short_time_objective_intelligibility(heard, voice, RATE)
    ours = speech_figures(heard, voice, RATE)["stoi"]
    assert ours == pytest.approx(float(theirs), abs=1e-6)
    turned = audio.short_time_objective_intelligibility(voice, heard, RATE)
    assert abs(float(turned) - ours) > 1e-3  # the order of the two counts
    assert speech_figures(voice, voice, RATE)["stoi"] == pytest.approx(1, abs=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_pesq_is_that_of_torchmetrics():
    pytest.importorskip("pesq", reason="pesq is compiled when installed; without a compiler: none")
    audio = pytest.importorskip("torchmetrics.functional.audio.pesq")
    voice = talk()
    heard = voice + noise(voice)
    theirs = audio.perceptual_evaluation_speech_quality(heard, voice, RATE, "nb")
    ours = speech_figures(heard, voice, RATE)["pesq"]
    assert ours == pytest.approx(float(theirs), abs=1e-5)
    turned = audio.perceptual_evaluation_speech_quality(voice, heard, RATE, "nb")
    assert abs(float(turned) - ours) > 1e-2
    assert speech_figures(voice, voice, RATE)["pesq"] > 4.4


def test_what_has_no_figure_is_left_out():
    pytest.importorskip("pystoi")
    voice = talk()
    assert speech_figures(voice, voice, 4000) == {}  # too low a rate for both
    assert speech_figures(voice[:900], voice[:900], RATE) == {}  # too short
    silent = torch.zeros_like(voice)
    assert "pesq" not in speech_figures(voice, silent, RATE)


def test_means_are_of_the_same_voices_before_and_after():
    pytest.importorskip("pystoi")
    quality, voice = SpeechQuality(RATE), talk()
    loud, quiet = noise(voice), 0.1 * noise(voice)
    quality.add(voice + loud, voice + quiet, voice)
    quality.add(voice[:900], voice[:900], voice[:900])  # too short: counts nowhere
    means = quality.means()
    assert means["stoi"] == speech_figures(voice + quiet, voice, RATE)["stoi"]
    assert means["stoi_before"] == speech_figures(voice + loud, voice, RATE)["stoi"]
    assert means["stoi"] > means["stoi_before"] + 0.05
    line = quality_lines({"stoi": 0.9, "stoi_before": 0.7}, 200)
    assert line == ["speech, by 50 of 200 mixtures: STOI 0.90 (the mixtures themselves 0.70)"]


def test_without_the_packages_there_are_no_figures(monkeypatch):
    for name in ("pystoi", "pesq"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    quality, voice = SpeechQuality(RATE), talk()
    quality.add(voice, voice, voice)
    assert quality.means() == {}
    assert quality_lines({}, 200) == []


def test_some_evenly_spaced_mixtures_are_judged():
    assert judged_places(3) == {0, 1, 2}
    many = sorted(judged_places(200))
    assert many == list(range(0, 200, 4))
    assert len(judged_places(77)) == speech_quality.MAX_JUDGED
