"""Speech for separation: how it is found, divided, mixed, stored and opened again."""

import json
import shutil

import numpy as np
import pytest
import torch

from convatlas.data.audio.open_voices import Mixing, open_voice_test, open_voices
from convatlas.data.audio.stored_voices import learnt_from, load_voices
from convatlas.data.audio.voice_data import VoiceFacts
from convatlas.data.audio.write import voice_paths, write_voices
from convatlas.errors import DataError, WriteError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 1000


def speech(who, number, samples=1500):
    """A tone of the speaker's own height; no two are the same."""
    random = np.random.default_rng([who, number])
    time = np.arange(samples) / RATE
    return 0.3 * np.sin(2 * np.pi * (60 + 30 * who + number) * time + random.uniform(0, 6))


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


@pytest.fixture
def speakers(tmp_path):
    """Three recordings of each of eight speakers."""
    for who in range(8):
        for number in range(3):
            write(tmp_path / "speech" / f"s{who}" / f"{number}.wav", speech(who, number))
    return tmp_path / "speech"


@pytest.fixture
def mixed(tmp_path):
    """Twelve mixtures beside their voices."""
    folder = tmp_path / "mixed"
    for number in range(12):
        voices = [speech(number % 4, number), speech(4 + number % 3, number)]
        for name, sound in (("s1", voices[0]), ("s2", voices[1]), ("mix", sum(voices))):
            write(folder / name / f"{number:02d}.wav", sound)
    return folder


def files_of(data, split):
    return set(data.splits[split].mixer.files)


def test_no_speaker_is_in_two_splits_and_voices_add_up(speakers):
    data = open_voices(speakers, mixing=Mixing(seconds=0.5))
    who = {split: {f.split("/")[0] for f in files_of(data, split)} for split in data.splits}
    assert [len(who[split]) for split in ("train", "val", "test")] == [4, 2, 2]
    assert len(set.union(*who.values())) == 8
    assert data.facts() == {"rate_hz": RATE, "voices": 2, "seconds": 0.5, "max_seconds": 3600.0}
    test = data.splits["test"]
    for place in (0, 5):
        mixture, voices = test.pair(place)
        assert mixture.shape == (4 * RATE,)
        torch.testing.assert_close(voices.sum(0), mixture)
        first, second = test.behind(place)
        assert first.split("/")[0] != second.split("/")[0]
        assert test.files[place] == f"{first.split('/')[1]} + {second.split('/')[1]}"
    mixture, voices = data.splits["train"].pieces(300)[0]
    assert (mixture.shape, voices.shape) == ((300,), (2, 300))


def test_levels_differ_by_what_was_asked_for_at_most(speakers):
    data = open_voices(speakers, mixing=Mixing(level_db=6.0))
    found = [data.splits["test"].pair(i)[1].square().mean(1).log10() * 10 for i in range(40)]
    apart = torch.stack([(each[0] - each[1]).abs() for each in found])
    assert 3 < apart.max() <= 6.0 + 1e-3


def test_a_table_of_speakers_with_its_own_splits(speakers):
    rows = ["path,speaker,split"]
    for who in range(8):
        split = "test" if who > 5 else "train"
        rows += [f"s{who}/{number}.wav,{who},{split}" for number in range(3)]
    table = speakers / "list.csv"
    table.write_text("\n".join(rows))
    data = open_voices(table)
    assert {f.split("/")[0] for f in files_of(data, "test")} == {"s6", "s7"}
    assert len({f.split("/")[0] for f in files_of(data, "val")}) == 2
    shared = table.with_name("shared.csv")
    shared.write_text("\n".join([*rows, "s0/0.wav,0,test"]).replace("s0/0.wav,0,train\n", ""))
    notes = open_voices(shared).scan.notes
    assert any("1 speakers are in train and in test" in note for note in notes)


def test_too_few_speakers_are_named(tmp_path):
    for who in range(4):
        write(tmp_path / f"s{who}" / "a.wav", speech(who, 0))
    with pytest.raises(DataError, match="each split must have 2 speakers or more, got 0 for train"):
        open_voices(tmp_path)


def test_mixtures_beside_their_voices(mixed):
    data = open_voices(mixed, mixing=Mixing(seconds=0.5))
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 10,
        "val": 1,
        "test": 1,
    }
    mixture, voices = data.splits["test"].pair(0)
    torch.testing.assert_close(voices.sum(0), mixture, atol=1e-3, rtol=0)
    piece, parts = data.splits["train"].pieces(200)[3]
    again, _ = data.splits["train"].pieces(200)[3]
    assert (piece.shape, parts.shape) == ((200,), (2, 200))
    assert torch.equal(piece, again)
    torch.testing.assert_close(parts.sum(0), piece, atol=1e-3, rtol=0)
    fresh = data.splits["train"].pieces(200, fresh=True)
    assert torch.equal(fresh[3][0], piece)
    assert not torch.equal(fresh[3][0], piece)
    assert data.splits["train"].pieces(4000)[0][0].shape == (4000,)  # filled with silence


def test_a_mixture_without_its_voice_is_named_and_counts_as_broken(mixed):
    (mixed / "s2" / "03.wav").unlink()
    with pytest.raises(DataError, match=r"mix/03.wav \(has no file of that name in s2\)"):
        open_voices(mixed)
    data = open_voices(mixed, max_broken=0.1)
    assert sum(len(split) for split in data.splits.values()) == 11
    assert data.scan.broken == [("mix/03.wav", "has no file of that name in s2")]
    with pytest.raises(DataError, match="must hold folders of 3 voices"):
        open_voices(mixed, mixing=Mixing(voices=3))


def test_a_voice_of_another_length_is_an_error(mixed):
    for number in range(12):
        write(mixed / "s2" / f"{number:02d}.wav", speech(5, number, samples=900))
    data = open_voices(mixed)
    with pytest.raises(DataError, match=r"must have one length, got 900 to 1,500 samples"):
        data.splits["test"].pair(0)


def test_silence_and_damage_are_left_out(speakers):
    write(speakers / "s0" / "0.wav", np.zeros(1500))
    (speakers / "s1" / "0.wav").write_bytes(b"RIFF")
    data = open_voices(speakers, max_broken=0.1)
    reasons = dict(data.scan.broken)
    assert reasons["s0/0.wav"] == "silent throughout"
    assert set(reasons) == {"s0/0.wav", "s1/0.wav"}
    assert not any(set(reasons) & files_of(data, split) for split in data.splits)


@pytest.mark.parametrize("layout", ["speakers", "mixed"])
def test_a_stored_split_gives_the_same_mixtures(request, layout, tmp_path):
    source = request.getfixturevalue(layout)
    data = open_voices(source, seed=3)
    path = tmp_path / "split.json"
    data.save(path)
    again = load_voices(path)
    assert again.facts() == data.facts()
    for name, split in data.splits.items():
        assert again.splits[name].files == split.files
        for ours, theirs in zip(split.pair(0), again.splits[name].pair(0), strict=True):
            assert torch.equal(ours, theirs)
    known = learnt_from(path)
    assert known == {data.digests[f] for name in ("train", "val") for f in files_of(data, name)}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda s: s["splits"].pop("test"), "splits must contain test"),
        (lambda s: s["splits"]["val"]["speakers"].pop(), "as many voices and digests"),
        (lambda s: s["splits"]["val"].update(count=0), "splits.val.count"),
        (lambda s: s["splits"]["val"].update(level_db=None), "how many mixtures are made"),
        (lambda s: s.update(voices=7), "voices"),
        (lambda s: s["splits"]["val"]["files"].__setitem__(0, "../x.wav"), "not in the source"),
    ],
)
def test_a_damaged_split_is_named(speakers, tmp_path, change, fault):
    path = tmp_path / "split.json"
    open_voices(speakers).save(path)
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=fault):
        load_voices(path)


def test_other_speech_to_judge_by(speakers):
    facts = VoiceFacts(rate_hz=RATE, voices=2, seconds=1.0)
    data = open_voice_test(speakers, facts)
    assert set(data.splits) == {"test"}
    assert len(files_of(data, "test")) == 24
    for who in range(3, 8):
        shutil.rmtree(speakers / f"s{who}")
    with pytest.raises(DataError, match="must have 4 speakers or more to mix, got 3"):
        open_voice_test(speakers, VoiceFacts(rate_hz=RATE, voices=4, seconds=1.0))


def test_voices_are_written_whole_or_not_at_all(tmp_path):
    pieces = [torch.full((2, 3), 0.5), torch.tensor([[0.25, 2.0], [-2.0, 0.0]])]
    first, second = write_voices(
        voice_paths(tmp_path / "out", "talk", ["voice1", "voice2"]), pieces, RATE
    )
    assert (first.name, second.name) == ("talk-voice1.wav", "talk-voice2.wav")
    np.testing.assert_allclose(soundfile.read(first)[0], [0.5, 0.5, 0.5, 0.25, 1], atol=1e-4)
    assert soundfile.info(second).samplerate == RATE

    def broken():
        yield torch.zeros(2, 3)
        raise DataError("the file ends here")

    with pytest.raises(DataError, match="the file ends here"):
        write_voices(voice_paths(tmp_path / "out", "talk", ["voice1", "voice2"]), broken(), RATE)
    assert len(soundfile.read(first)[0]) == 5  # the old one is still there
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [first.name, second.name]
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot write"):
        write_voices(voice_paths(tmp_path / "file", "talk", ["voice1"]), pieces, RATE)


def test_loose_files_are_said_to_lack_speakers_and_not_classes(tmp_path):
    write(tmp_path / "talk.wav", speech(0, 0))
    with pytest.raises(DataError) as raised:
        open_voices(tmp_path)
    told = str(raised.value)
    assert "must contain one folder per speaker, got 1 loose files" in told
    assert "into one folder per speaker, SPEAKER/clip.wav" in told
    (tmp_path / "anna").mkdir()
    with pytest.raises(DataError, match="a speaker folder must contain sounds, got none"):
        open_voices(tmp_path)


@pytest.fixture
def over_music(speakers):
    """The same speakers, and six pieces of music."""
    for number in range(6):
        random = np.random.default_rng(number)
        write(speakers / "music" / f"{number}.wav", 0.1 * random.standard_normal(2000))
    return speakers


def test_a_background_is_the_last_voice_of_each_mixture_and_no_speaker(over_music, tmp_path):
    data = open_voices(over_music, mixing=Mixing(seconds=0.5, background="music", level_db=6.0))
    assert data.facts()["background"] == "music"
    parts = [files_of(data, split) for split in ("train", "val", "test")]
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert all(any(f.startswith("music/") for f in part) for part in parts)
    for split in data.splits.values():
        for place in range(20):
            voice, music = split.behind(place)
            assert music.startswith("music/")
            assert not voice.startswith("music/")
    mixture, voices = data.splits["test"].pair(0)
    torch.testing.assert_close(voices.sum(0), mixture)
    apart = 10 * (voices[0].square().mean() / voices[1].square().mean()).log10()
    assert abs(apart) <= 6.0 + 1e-3
    path = tmp_path / "split.json"
    data.save(path)
    again = load_voices(path)
    assert again.facts() == data.facts()
    assert torch.equal(again.splits["test"].pair(3)[0], data.splits["test"].pair(3)[0])
    facts = VoiceFacts.model_validate(data.facts())
    assert facts.names == ["voice1", "music"]
    judged = open_voice_test(over_music, facts).splits["test"]
    assert all(judged.behind(i)[1].startswith("music/") for i in range(9))


def test_a_background_that_is_not_there_is_named(speakers, mixed):
    with pytest.raises(DataError, match="must have recordings of the background 'music', got none"):
        open_voices(speakers, mixing=Mixing(background="music"))
    facts = VoiceFacts(rate_hz=RATE, voices=2, seconds=1.0, background="music")
    with pytest.raises(DataError, match="background 'music', got none"):
        open_voice_test(speakers, facts)
    with pytest.raises(DataError, match="must be the last of their folders, s2, got 'music'"):
        open_voices(mixed, mixing=Mixing(background="music"))
    assert open_voices(mixed, mixing=Mixing(background="s2")).facts()["background"] == "s2"
