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
from convatlas.data.audio.stream_gaps import gap_in_mp3, gap_in_ogg, ogg_checksum
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


KINDS = ("a.wav", "a.aiff", "a.au", "a.w64", "a.flac", "a.ogg", "a.opus", "a.mp3")
CHECKED = ("a.flac", "a.ogg", "a.opus", "a.mp3")  # with checksums, or a header of what follows
GARBAGE = np.random.default_rng(1).bytes(2000)


def write(path, samples, rate=RATE, **how):
    if path.suffix == ".opus":
        how |= {"format": "OGG", "subtype": "OPUS"}
    soundfile.write(path, samples, rate, **how)


def left(share):
    return lambda whole: whole[: round(len(whole) * share)]


CUTS = {  # what happened to a file: to its bytes, and to which kinds
    "its last 40 % are gone": (left(0.6), KINDS),
    "its last 5 % are gone": (left(0.95), KINDS),
    "its last 100 bytes are gone": (lambda whole: whole[:-100], KINDS),
    "its first tenth is gone": (lambda whole: whole[len(whole) // 10 :], KINDS[:-1]),
    "its middle is gone": (lambda w: w[: len(w) * 4 // 10] + w[len(w) * 6 // 10 :], KINDS),
    "300 bytes are gone": (lambda w: w[: len(w) // 2] + w[len(w) // 2 + 300 :], KINDS),
    "a fifth is nought": (
        lambda w: w[: len(w) * 4 // 10] + bytes(len(w) // 5) + w[len(w) * 4 // 10 + len(w) // 5 :],
        CHECKED,
    ),
    "2,000 bytes are other ones": (
        lambda w: w[: len(w) // 2] + GARBAGE + w[len(w) // 2 + 2000 :],
        CHECKED,
    ),
    "2,000 bytes stand in between": (
        lambda w: w[: len(w) // 2] + GARBAGE + w[len(w) // 2 :],
        CHECKED,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_missing_of_a_file_is_named_wherever_it_is(tmp_path, name):
    noise = np.random.default_rng(0).normal(0, 0.1, 6 * RATE).astype("f4")
    write(tmp_path / name, noise)
    whole = (tmp_path / name).read_bytes()
    assert examine(tmp_path, name, RATE, 10).seconds == pytest.approx(6, abs=1e-3)
    for fault, (change, kinds) in CUTS.items():
        if name in kinds:
            (tmp_path / name).write_bytes(change(whole))
            reason = why(tmp_path / name)
            assert any(word in reason for word in ("truncated", "damaged", "not a sound")), fault
    if name != "a.w64":  # libsndfile takes what stands behind such a file for samples
        (tmp_path / name).write_bytes(whole + b"x" * 500)  # behind the end: nothing is missing
        assert len(read_sound(tmp_path / name)) == len(noise)


@pytest.mark.parametrize(
    ("shape", "rate", "how", "reason"),
    [
        ((800, 64), RATE, {}, None),
        ((800, 65), RATE, {}, "has 65 channels, above the limit of 64"),
        ((8000, 1), 1000, {}, None),
        ((8000, 1), 999, {}, "its rate of 999 Hz is outside 1,000 to 768,000"),
        ((8000, 1), 768_000, {}, None),
        ((8000, 1), 768_001, {}, "its rate of 768,001 Hz is outside 1,000 to 768,000"),
        *(((800, 2), RATE, {"subtype": s}, None) for s in ("PCM_32", "DOUBLE", "ULAW", "ALAW")),
    ],
)
def test_channels_rates_and_depths_up_to_their_limits(tmp_path, shape, rate, how, reason):
    samples = np.random.default_rng(0).normal(0, 0.1, shape)
    soundfile.write(tmp_path / "a.wav", samples, rate, **how)
    if reason is None:
        read = read_sound(tmp_path / "a.wav")
        expected = torch.from_numpy(samples.mean(1)).float()
        torch.testing.assert_close(read, expected, atol=2e-2, rtol=0)
        assert not isinstance(examine(tmp_path, "a.wav", RATE, 10), str)
    else:
        assert why(tmp_path / "a.wav") == reason


@pytest.mark.parametrize("at", [3, 5 * RATE])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_sample_that_is_no_number_is_named_wherever_it_is(tmp_path, at, value):
    samples = np.random.default_rng(0).normal(0, 0.1, 10 * RATE)  # more than a block
    samples[at] = value
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="DOUBLE")
    assert why(tmp_path / "a.wav") == "holds samples that are not finite numbers"


def test_the_checksum_of_a_page_is_that_of_a_slow_plain_division():
    def slow(data):
        rest = 0
        for byte in data:
            rest ^= byte << 24
            for _ in range(8):
                rest = (rest << 1 ^ (0x04C11DB7 if rest >> 31 else 0)) & 0xFFFFFFFF
        return rest

    for data in (b"", b"OggS", GARBAGE[:300]):
        assert ogg_checksum(data) == slow(data)


def test_pages_that_are_missing_are_named_although_all_others_are_whole(tmp_path):
    write(tmp_path / "a.ogg", np.random.default_rng(0).normal(0, 0.1, 9 * RATE))
    whole = (tmp_path / "a.ogg").read_bytes()
    starts = [i for i in range(len(whole)) if whole.startswith(b"OggS", i)]
    (tmp_path / "a.ogg").write_bytes(whole[: starts[4]] + whole[starts[5] :])
    assert why(tmp_path / "a.ogg") == "truncated or damaged (pages are missing before page 5)"
    (tmp_path / "a.ogg").write_bytes(whole[: starts[-1]])
    assert why(tmp_path / "a.ogg") == "truncated (it ends without its last page)"
    (tmp_path / "a.ogg").write_bytes(whole + whole)  # one stream behind another
    assert gap_in_ogg(tmp_path / "a.ogg") == ""


def test_tags_before_and_behind_an_mp3_file_are_no_part_of_it(tmp_path):
    write(tmp_path / "a.mp3", tone(3.0))
    whole = (tmp_path / "a.mp3").read_bytes()
    before = b"ID3\x04\0\0" + bytes([0, 0, 2, 1]) + bytes(257)  # 2 * 128 + 1 bytes follow
    behind = b"TAG" + bytes(125)
    (tmp_path / "b.mp3").write_bytes(before + whole + behind)
    assert gap_in_mp3(tmp_path / "b.mp3") == ""
    (tmp_path / "b.mp3").write_bytes(before + whole[:-100] + behind)
    total = len(whole)
    assert gap_in_mp3(tmp_path / "b.mp3") == f"truncated ({total - 100:,} of {total:,} bytes)"


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
