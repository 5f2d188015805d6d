"""Spectrogram, mel bands and cepstral coefficients: against librosa and against plain loops."""

import math

import pytest
import torch
from torch import nn

from convatlas.errors import UsageError
from convatlas.ops.framing import _joined_hops, blackman_harris, cut_frames
from convatlas.ops.loudness import equalise_loudness, remove_silence
from convatlas.ops.mel import MelSpectrogram, hz_to_mel, mel_filters, mel_to_hz
from convatlas.ops.mfcc import MFCC, cosine_basis, decibels, swishnet_mfcc
from convatlas.ops.spectrogram import Spectrogram
from convatlas.ops.spectrogram_bands import ThreeBands, ThreeWindows

RATE = 16_000
TOLERANCE = 1e-4  # of the largest number; float32 against librosa's float32


def sound(seconds=0.5, rate=RATE, count=2):
    """Two gliding tones with noise."""
    generator = torch.Generator().manual_seed(3)
    t = torch.arange(round(seconds * rate)) / rate
    tones = [torch.sin(2 * math.pi * (200 * (n + 1) * t + 700 * t**2)) for n in range(count)]
    return 0.3 * torch.stack(tones) + 0.01 * torch.randn(count, len(t), generator=generator)


@pytest.fixture(scope="module")
def librosa():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("librosa")
        module.stft(sound(0.1)[0].numpy())  # loads what is loaded when used
        module.filters.mel(sr=RATE, n_fft=512)
        module.feature.mfcc(y=sound(0.1)[0].numpy(), sr=RATE)
    return module


def near(ours, theirs, tolerance=TOLERANCE):
    theirs = torch.as_tensor(theirs)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


@pytest.mark.parametrize(("length", "hop"), [(5, 2), (4, 4), (3, 7), (8, 3)])
def test_frames_are_slices(length, hop):
    x = torch.arange(40.0).reshape(2, 20)
    expected = [x[:, s : s + length] for s in range(0, 20 - length + 1, hop)]
    assert torch.equal(cut_frames(x, length, hop), torch.stack(expected, dim=1))
    assert torch.equal(_joined_hops(x, length, hop, len(expected)), torch.stack(expected, dim=1))


@pytest.mark.parametrize(
    ("padding", "mode"), [("constant", "constant"), ("reflect", "reflect"), ("none", None)]
)
def test_spectrogram_equals_librosa(librosa, padding, mode):
    x = sound()
    ours = Spectrogram(512, 160, window_length=400, padding=padding)(x)
    how = {"center": mode is not None, "pad_mode": mode or "constant"}
    theirs = librosa.stft(x.numpy(), n_fft=512, hop_length=160, win_length=400, **how)
    near(ours, abs(theirs) ** 2)


def test_spectrogram_equals_a_plain_loop():
    x = sound(0.05)
    ours = Spectrogram(128, 50, padding="none", window="blackman_harris", normalized=True)(x)
    for frame in range(ours.shape[2]):
        cut = x[:, 50 * frame : 50 * frame + 128] * blackman_harris(128)
        expected = torch.fft.rfft(cut.double()).abs().square() / 128
        torch.testing.assert_close(ours[:, :, frame].double(), expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_filters_equal_librosa_s(librosa, scale):
    ours = mel_filters(22_050, 1024, 64, low_hz=30, high_hz=9000, scale=scale)
    theirs = librosa.filters.mel(
        sr=22_050,
        n_fft=1024,
        n_mels=64,
        fmin=30,
        fmax=9000,
        htk=scale == "htk",
        norm="slaney" if scale == "slaney" else None,
    )
    near(ours, theirs, 1e-5)
    hz = torch.tensor([0.0, 440.0, 1000.0, 8000.0])
    torch.testing.assert_close(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=0.01, rtol=1e-5)


def test_mel_and_mfcc_equal_librosa_s(librosa):
    x = sound()
    mel = MelSpectrogram(Spectrogram(512, 160), RATE, 40)
    theirs = librosa.feature.melspectrogram(
        y=x[0].numpy(), sr=RATE, n_fft=512, hop_length=160, n_mels=40
    )
    near(mel(x)[0], theirs)
    near(decibels(mel(x), range_db=80)[0], librosa.power_to_db(theirs))
    mfcc = librosa.feature.mfcc(
        y=x[0].numpy(), sr=RATE, n_mfcc=20, n_fft=512, hop_length=160, n_mels=40
    )
    near(MFCC(mel, 20)(x)[0], mfcc)


def test_the_cosine_transform_is_orthonormal():
    basis = cosine_basis(32, 32)
    torch.testing.assert_close(basis @ basis.T, torch.eye(32), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 48), (1, 98), (2, 198)])
def test_swishnet_hears_as_many_frames_as_its_paper_says(seconds, frames):
    assert swishnet_mfcc()(torch.randn(1, int(seconds * RATE))).shape == (1, 20, frames)


def test_three_bands_have_the_published_shape_and_order():
    rate = 44_100
    tone = torch.sin(2 * math.pi * 12_000 * torch.arange(5 * rate) / rate)[None]
    image = ThreeBands()(tone)
    assert image.shape == (1, 3, 341, 394)
    assert int(image.amax((0, 2, 3)).argmax()) == 1  # 12 kHz lies in the middle third
    row = int(image[0, 1, :, 200].argmax())
    assert abs((341 + row) * rate / 2048 - 12_000) < rate / 2048
    assert float(ThreeBands(n_fft=64, hop=16, window_length=50)(torch.zeros(1, 200)).max()) == -180


def test_three_windows_are_the_logarithms_of_mel_bands_at_one_size():
    x = sound(0.6, 8000)
    image = ThreeWindows(8000, (16, 24))(x)
    assert image.shape == (2, 3, 16, 24)
    spectrogram = Spectrogram(800, 200, window_length=400, padding="reflect")
    mel = MelSpectrogram(spectrogram, 8000, 16, scale="htk")
    same = nn.functional.interpolate((mel(x) + 1e-6).log()[:, None], (16, 24), mode="bilinear")
    torch.testing.assert_close(image[:, 1:2], same)


def test_equal_loudness_wherever_there_is_sound():
    x = sound(1.0)
    x[:, RATE // 2 :] *= 0.05
    even = equalise_loudness(x, RATE)
    levels = [even[:, s : s + RATE // 4].square().mean().sqrt() for s in (1000, 12_000 - 500)]
    assert all(0.08 < float(level) < 0.12 for level in levels)
    assert float(equalise_loudness(torch.full((1, RATE), 1e-9), RATE).abs().max()) < 1e-5
    with pytest.raises(UsageError, match="must have 160 samples, got 10"):
        equalise_loudness(x[:, :10], RATE)


def test_silence_is_left_out_and_sound_is_kept():
    loud = sound(0.5)[0]
    x = torch.cat([torch.zeros(RATE), loud, torch.zeros(RATE)])
    kept = remove_silence(x, RATE)
    assert len(loud) - 800 <= len(kept) <= len(loud) + 1200
    assert torch.equal(remove_silence(torch.zeros(RATE), RATE), torch.zeros(RATE))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Spectrogram(512, 160, window="han"), "no window 'han'.*hann"),
        (lambda: Spectrogram(512, 160, window_length=513), "513 samples in a frame of 512"),
        (lambda: Spectrogram(512, 160, padding="edge"), "padding must be"),
        (lambda: mel_filters(8000, 256, 20, high_hz=5000), "do not fit a rate of 8000 Hz"),
        (lambda: cut_frames(torch.zeros(1, 9), 4, 0), "hop must be above 0"),
        (lambda: MFCC(MelSpectrogram(Spectrogram(64, 32), 8000, 8), 9), "from 1 to the 8 bands"),
        (lambda: ThreeWindows(8000, windows_ms=()), "must be given windows"),
    ],
)
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(UsageError, match=says):
        make()


class FrontEnds(nn.Module):
    """Cepstral coefficients and three bands: all kinds of steps in one export."""

    def __init__(self):
        super().__init__()
        self.mfcc = swishnet_mfcc(8000)
        self.bands = ThreeBands(256, 70, 200)

    def forward(self, x):
        return self.mfcc(x), self.bands(x)


@pytest.mark.slow
def test_a_waveform_of_any_length_goes_into_the_exported_file(tmp_path):
    import onnxruntime
    from torch.export import Dim

    from convatlas.deploy.onnx_program import quiet

    model, path = FrontEnds().eval(), tmp_path / "front.onnx"
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            model,
            (sound(0.5, 8000),),
            dynamo=True,
            input_names=["x"],
            dynamic_shapes=({0: Dim("n"), 1: Dim("t")},),
            external_data=False,
            verbose=False,
        )
        program.save(path)
    assert path.stat().st_size < 250_000
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for seconds, count in ((0.5, 2), (0.93, 3)):
        x = sound(seconds, 8000, count)
        for answer, expected in zip(session.run(None, {"x": x.numpy()}), model(x), strict=True):
            near(torch.from_numpy(answer), expected)
