"""From a mixture to its voices: loudness, lengths, the exported file, files of any length."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import convatlas as ca
from convatlas.deploy.onnx_program import to_onnx
from convatlas.deploy.separate_file import separate_file
from convatlas.deploy.separator import MIN_SAMPLES, Separator
from convatlas.errors import DataError

RATE = 1000


class HighAndLow(nn.Module):
    """Splits a waveform at half its band, at loudnesses that have nothing to do with it."""

    def forward(self, x: Tensor) -> Tensor:
        low = (x + x.roll(1, dims=1)) / 2
        return torch.stack([3 * low, -0.2 * (x - low)], dim=1)


def tones(samples):
    time = torch.arange(samples) / RATE
    low = torch.sin(2 * torch.pi * 10 * time)
    high = 0.5 * torch.sin(2 * torch.pi * 480 * time)
    return low, high


def test_voices_come_out_as_loud_as_they_are_in_the_mixture():
    low, high = tones(2000)
    found = Separator(HighAndLow(), RATE, 2, 1.0).predict([low + high])[0]
    for voice, truth in zip(found, (low, high), strict=True):
        assert (voice - truth).square().mean() < 0.02 * truth.square().mean()


def test_mixtures_of_any_lengths_are_answered_in_their_order():
    separator = Separator(HighAndLow(), RATE, 2, 1.0)
    items = [sum(tones(samples)) for samples in (40, 900, 3 * separator.window + 17)]
    found = separator.predict(items)
    assert [voices.shape for voices in found] == [(2, len(item)) for item in items]
    low, _ = tones(len(items[2]))
    assert (found[2][0] - low).square().mean() < 0.02 * low.square().mean()


def test_agreement_is_by_mixture_and_by_the_largest_difference():
    separator = Separator(HighAndLow(), RATE, 2, 1.0)
    expected = [torch.zeros(2, 5), torch.zeros(2, 3)]
    other = [torch.zeros(2, 5), torch.tensor([[0, 0, 0], [0, 0.5, 0]])]
    agreement = separator.compare(expected, other, 1e-3)
    assert (agreement.share, agreement.difference) == (0.5, 0.5)


def test_the_exported_file_takes_mixtures_of_any_length():
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = ca.create_model("conv_tasnet_causal", width=1 / 16, blocks=2, repeats=1).eval()
    separator = Separator(network, 8000, 2, 0.1)
    session = onnxruntime.InferenceSession(to_onnx(separator).SerializeToString())
    for shape in ((1, MIN_SAMPLES), (3, 1001), (2, 4002)):
        x = torch.rand(*shape) - 0.5
        (found,) = session.run(None, {"mixture": x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(found), separator(x), atol=1e-5, rtol=0)


def test_a_long_file_goes_window_by_window(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    separator = Separator(HighAndLow(), RATE, 2, 1.0)
    asked = []
    inner = separator.network

    class Watched(nn.Module):
        def forward(self, x):
            asked.append(tuple(x.shape))
            return inner(x)

    separator.network = Watched()
    low, high = (each.numpy() / 2 for each in tones(60 * RATE))
    stereo = np.stack([low + high, low + high], axis=1)
    soundfile.write(tmp_path / "talk.wav", stereo, RATE, subtype="FLOAT")
    paths = separate_file(
        separator, tmp_path / "talk.wav", tmp_path / "out", stem="talk", max_seconds=100
    )
    assert [path.name for path in paths] == ["talk-voice1.wav", "talk-voice2.wav"]
    found = [soundfile.read(path)[0] for path in paths]
    assert [len(voice) for voice in found] == [len(low)] * 2
    for voice, truth in zip(found, (low, high), strict=True):
        assert np.square(voice - truth).mean() < 0.02 * np.square(truth).mean()
    assert set(asked) == {(1, separator.window)}
    with pytest.raises(DataError, match=r"talk.wav: lasts 60 s, above the limit of 10 s"):
        separate_file(separator, tmp_path / "talk.wav", tmp_path / "out", stem="x", max_seconds=10)


def test_a_background_keeps_its_place_and_its_name(tmp_path):
    class Told(torch.nn.Module):
        """Gives the low part first in one window and last in the next, as a separator may."""

        calls = 0

        def forward(self, mixture):
            self.calls += 1
            voices = HighAndLow()(mixture)
            return voices if self.calls % 2 else voices.flip(1)

    samples = torch.rand(20 * RATE) - 0.5
    free, held = (
        torch.cat(list(Separator(Told(), RATE, 2, 1.0, background=b).in_pieces([samples])), dim=1)
        for b in (None, "music")
    )
    once = torch.cat(list(Separator(HighAndLow(), RATE, 2, 1.0).in_pieces([samples])), dim=1)
    torch.testing.assert_close(free, once, atol=1e-4, rtol=1e-3)  # put into the order of before
    assert (held - once).abs().max() > 0.1  # nothing is put into another order
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "talk.wav", samples.numpy(), RATE)
    separator = Separator(HighAndLow(), RATE, 2, 1.0, background="music")
    written = separate_file(
        separator, tmp_path / "talk.wav", tmp_path / "out", stem="talk", max_seconds=60
    )
    assert [path.name for path in written] == ["talk-voice1.wav", "talk-music.wav"]
