"""From a waveform to probabilities; the exported file is tested with the task's run."""

import torch
from torch import nn

from convatlas.data.audio.features import SoundFeatures
from convatlas.deploy import sound_classifier
from convatlas.deploy.sound_classifier import SoundClassifier

RATE = 8000


def classifier():
    torch.manual_seed(0)
    features = SoundFeatures(RATE, "log_mel", 2000, 16, [10.0], [4.0])
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    return SoundClassifier(features, network, RATE, ["a", "b", "ü"]).eval()


def noise(*lengths):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, generator=generator) * 0.1 for n in lengths]


def test_the_answer_is_the_mean_of_the_windows_answers():
    model = classifier()
    (sound,) = noise(5000)
    windows = [sound[:2000], sound[2000:4000], sound[-2000:]]
    apart = model.predict(windows)
    torch.testing.assert_close(model.predict([sound])[0], apart.mean(0))
    assert float(apart.sum(1).sub(1).abs().max()) < 1e-6


def test_a_long_sound_in_parts_has_the_answer_of_the_whole(monkeypatch):
    model, sounds = classifier(), noise(31_234, 9000, 700, 8000)
    whole = model.predict(sounds)
    seen = []
    monkeypatch.setattr(sound_classifier, "MAX_SAMPLES", 4100)
    parts = model.answers(sounds, lambda batch: seen.append(batch.shape[1]) or model(batch))
    torch.testing.assert_close(parts.detach(), whole, atol=1e-6, rtol=0)
    assert max(seen) <= 4000
