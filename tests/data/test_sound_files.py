"""Reading sounds: every kind that libsndfile knows, and what is wrong with a file named."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from convatlas.data.audio import packages
from convatlas.data.audio.read import read_sound
from convatlas.data.audio.scan import examine
from convatlas.data.audio.sound_file import duration
from convatlas.errors import DataError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 8000


def tone(seconds=0.5, rate=RATE, hz=440.0):
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def why(path, max_seconds=3600.0):
    """The reason why a file cannot be used, of the scan and of a later reading alike."""
    reason = examine(path.parent, path.name, RATE, max_seconds)
    assert isinstance(reason, str), reason
    with pytest.raises(DataError) as raised:
        read_sound(path, RATE, max_seconds=max_seconds)
    assert str(raised.value) == f"{path}: {reason}"
    return reason


@pytest.mark.parametrize(
    ("name", "how", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 1e-2),
        ("a.wav", {"subtype": "PCM_16"}, 1e-4),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.flac", {"subtype": "PCM_24"}, 1e-6),
        ("a.aiff", {}, 1e-4),
        ("a.au", {}, 1e-4),
        ("a.ogg", {}, 5e-2),
        ("a.mp3", {}, 5e-2),
    ],
)
def test_every_kind_of_file_gives_its_samples(tmp_path, name, how, tolerance):
    soundfile.write(tmp_path / name, tone(), RATE, **how)
    read = read_sound(tmp_path / name)
    middle = slice(500, 3500)
    torch.testing.assert_close(
        read[middle], torch.from_numpy(tone())[middle], atol=tolerance, rtol=0
    )
    facts = examine(tmp_path, name, RATE, 10)
    assert facts.seconds == pytest.approx(0.5, abs=0.05)
    assert facts.renamed is None


@pytest.mark.parametrize("rate", [7919, 11_025, 44_100, 96_000])
def test_odd_rates_are_resampled_as_the_whole_would_be(tmp_path, rate):
    import soxr

    soundfile.write(tmp_path / "a.wav", tone(2.0, rate), rate, subtype="FLOAT")
    ours = read_sound(tmp_path / "a.wav", RATE)
    whole = torch.from_numpy(soxr.resample(tone(2.0, rate), rate, RATE))
    assert abs(len(ours) - len(whole)) <= 1
    count = min(len(ours), len(whole))
    torch.testing.assert_close(ours[:count], whole[:count], atol=1e-4, rtol=0)


def test_many_channels_become_one_or_two(tmp_path):
    channels = np.stack([tone(hz=100.0 * (n + 1)) for n in range(6)], axis=1)
    soundfile.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
    mean = torch.from_numpy(channels.mean(1))
    torch.testing.assert_close(read_sound(tmp_path / "a.wav"), mean, atol=1e-6, rtol=0)
    stereo = read_sound(tmp_path / "a.wav", channels=2)
    assert torch.equal(stereo, torch.from_numpy(channels[:, :2].T.copy()))
    soundfile.write(tmp_path / "b.wav", tone(), RATE, subtype="FLOAT")
    assert torch.equal(*read_sound(tmp_path / "b.wav", channels=2))


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.w64", "a.flac", "a.ogg", "a.mp3"])
def test_a_file_that_is_cut_off_is_named_and_never_shortened(tmp_path, name):
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype("f4")
    soundfile.write(tmp_path / name, noise, RATE)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
    assert "truncated" in why(tmp_path / name)


def test_bad_content_is_named(tmp_path):
    empty, text, none = (tmp_path / f"{n}.wav" for n in ("empty", "text", "none"))
    empty.write_bytes(b"")
    text.write_bytes(b"no sound at all, but bytes" * 9)
    soundfile.write(none, tone(0), RATE)
    assert why(empty) == "the file is empty"
    assert why(text).startswith("not a sound in a format that libsndfile reads")
    assert why(none) == "holds no samples"
    assert why(tmp_path / "gone.wav") == "no such file"
    for value, says in ((np.nan, "finite"), (np.inf, "finite"), (3000.0, "far beyond full scale")):
        bad = tone()
        bad[100] = value
        soundfile.write(tmp_path / "bad.wav", bad, RATE, subtype="FLOAT")
        assert says in why(tmp_path / "bad.wav")
    (tmp_path / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    assert "convert it to WAV" in why(tmp_path / "song.m4a")


def test_a_header_of_ten_hours_costs_no_memory(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(), RATE)
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 10 * 3600 * RATE * 2)
    path.write_bytes(bytes(data))
    assert why(path) == "truncated (8,000 of 576,000,000 bytes)"
    soundfile.write(path, tone(3.0), RATE)
    assert "above the limit of 2 s; --set max_seconds=N" in why(path, max_seconds=2)
    assert duration(36_000) == "10 h"


def test_what_a_program_writes_to_a_pipe_has_no_length_and_is_read(tmp_path):
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(), RATE)
    data = bytearray(path.read_bytes())
    for place in (4, data.index(b"data") + 4):
        data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    assert len(read_sound(path)) == len(tone())


def test_a_misleading_name_is_told_and_the_same_sound_is_known_again(tmp_path):
    samples = (tone() * 30_000).astype("i2")
    soundfile.write(tmp_path / "a.flac", samples, RATE)
    soundfile.write(tmp_path / "b.wav", samples, RATE)
    Path(tmp_path / "c.ogg").write_bytes((tmp_path / "b.wav").read_bytes())
    a, b, c = (examine(tmp_path, n, RATE, 10) for n in ("a.flac", "b.wav", "c.ogg"))
    assert a.digest == b.digest == c.digest
    assert c.renamed == "WAV content in a file named .ogg"


def test_a_missing_library_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(DataError, match=r"pip install 'convatlas\[audio\]'"):
        packages.soundfile()
