"""Speech for extraction: how it is found, divided, enrolled, stored and opened again."""

import json
import shutil

import numpy as np
import pytest
import torch

from convatlas.data.audio.asked_pairs import find_pairs
from convatlas.data.audio.extraction_data import ExtractionFacts
from convatlas.data.audio.open_extraction import (
    Enrolling,
    open_extraction,
    open_extraction_test,
)
from convatlas.data.audio.stored_extraction import learnt_from, load_extraction
from convatlas.errors import DataError, UsageError
from convatlas.tasks import recognise_task

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 1000
SHORT = Enrolling(seconds=0.5, clip_seconds=0.6)


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
    """Three recordings of each of eight speakers, one of a ninth."""
    for who in range(8):
        for number in range(3):
            write(tmp_path / "speech" / f"s{who}" / f"{number}.wav", speech(who, number))
    write(tmp_path / "speech" / "s8" / "0.wav", speech(8, 0))
    return tmp_path / "speech"


@pytest.fixture
def listed(tmp_path):
    """Twelve mixtures of six pairs of speakers, each asked for both voices, as a list."""
    rows = ["mixture,target,enrolment"]
    folder = tmp_path / "listed"
    for pair in range(6):
        for number in range(2):
            voices = [speech(2 * pair + k, number) for k in range(2)]
            write(folder / f"mix/{pair}-{number}.wav", sum(voices))
            for k in range(2):
                write(folder / f"alone/{2 * pair + k}-{number}.wav", voices[k])
                write(folder / f"clips/{2 * pair + k}.wav", speech(2 * pair + k, 9, 800))
                rows.append(
                    f"mix/{pair}-{number}.wav,alone/{2 * pair + k}-{number}.wav,"
                    f"clips/{2 * pair + k}.wav"
                )
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return folder / "list.csv"


def who(file):
    return file.split("/")[0]


def test_no_speaker_is_in_two_splits_and_the_clip_is_another_recording(speakers):
    data = open_extraction(speakers, enrolling=SHORT)
    found = {name: {who(f) for f in split.mixer.files} for name, split in data.splits.items()}
    assert len(set.union(*found.values())) == sum(map(len, found.values())) == 9
    test = data.splits["test"]
    for place in range(0, 40, 7):
        asked = test.asked(place)
        torch.testing.assert_close(asked.voice + asked.other, asked.mixture)
        assert asked.mixture.shape == (4 * RATE,)
        assert asked.clip.shape == (600,)
        assert test.read(place)[1].equal(asked.clip)
        first, second, *clips = test.behind(place)
        assert who(clips[0]) == who(first) != who(second)
        assert clips[0] != first
        title = f"{first.split('/')[1]} + {second.split('/')[1]}, wanted as in"
        assert test.files[place].startswith(title)
    pieces = data.splits["train"].pieces(300, 700)[0]
    assert [part.shape for part in pieces] == [(300,), (700,), (300,)]
    assert ExtractionFacts(**data.facts()).clip_seconds == 0.6
    (note,) = [n for n in data.scan.notes if "single recording" in n]
    assert note.startswith("never the wanted voice, as there is a single recording of them (1): s8")


def test_a_single_recording_is_halved_where_it_is_asked_for(speakers, tmp_path):
    for folder in speakers.iterdir():
        for file in sorted(folder.iterdir())[1:]:
            file.unlink()
    with pytest.raises(DataError, match=r"some speaker of .* --set single=halve cuts the only one"):
        open_extraction(speakers, enrolling=SHORT)
    data = open_extraction(speakers, enrolling=Enrolling(seconds=0.5, single="halve"))
    assert any("only recording of 9 speakers is cut in two" in note for note in data.scan.notes)
    asked = data.splits["test"].asked(3)
    assert len(data.splits["test"].behind(3)) == 2
    assert asked.other_clip is not None
    data.save(tmp_path / "split.json")
    again = load_extraction(tmp_path / "split.json").splits["test"].asked(3)
    assert torch.equal(again.clip, asked.clip)


def test_rows_that_share_a_file_stay_in_one_split_and_ask_for_each_others_voices(listed):
    data = open_extraction(listed, enrolling=SHORT)
    assert data.layout == "listed"
    pairs = [{r.mixture.split("-")[0] for r in data.splits[s].mixer.rows} for s in data.splits]
    assert sum(map(len, pairs)) == len(set.union(*pairs)) == 6
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 16,
        "val": 4,
        "test": 4,
    }
    split = data.splits["test"]
    for place in range(4):
        row, asked = split.mixer.rows[place], split.asked(place)
        assert row.target.split("/")[1].split("-")[0] == row.enrolment.split("/")[1][:-4]
        torch.testing.assert_close(asked.voice + asked.other, asked.mixture, atol=1e-4, rtol=0)
        assert asked.other_clip is not None
        assert not torch.equal(asked.other_clip, asked.clip)
        assert len(split.behind(place)) == 5
    mixture, clip, voice = data.splits["train"].pieces(400, 900, fresh=True)[0]
    assert (mixture.shape, clip.shape, voice.shape) == ((400,), (900,), (400,))
    assert recognise_task(listed).name == "extract"


def test_a_stored_split_gives_the_same_mixtures_and_knows_what_was_learnt(
    speakers, listed, tmp_path
):
    for number, source in enumerate((speakers, listed)):
        data = open_extraction(source, enrolling=SHORT, seed=3)
        stored = tmp_path / f"split{number}.json"
        data.save(stored)
        again = load_extraction(stored)
        assert again.facts() == data.facts()
        for name, split in data.splits.items():
            assert again.splits[name].files == split.files
            for x, y in zip(again.splits[name].read(1), split.read(1), strict=True):
                torch.testing.assert_close(x, y)
        learnt = {data.digests[f] for n in ("train", "val") for f in data.splits[n].mixer.files}
        assert learnt_from(stored) == learnt
        moved = shutil.move(source, tmp_path / f"moved{number}{source.suffix}")
        if number == 0:
            with pytest.raises(DataError):
                load_extraction(stored)
            assert load_extraction(stored, moved).splits["test"].read(0)[0].shape == (4 * RATE,)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("speaker", "guessed", "speaker"),
        ("clip_seconds", 0.1, "clip_seconds"),
        ("splits", {}, "splits must contain test"),
    ],
)
def test_a_damaged_split_is_refused(speakers, tmp_path, key, value, message):
    stored = tmp_path / "split.json"
    open_extraction(speakers, enrolling=SHORT).save(stored)
    content = json.loads(stored.read_text())
    stored.write_text(json.dumps({**content, key: value}))
    with pytest.raises(DataError, match=message):
        load_extraction(stored)
    content["splits"]["test"]["files"][0] = "../../elsewhere.wav"
    stored.write_text(json.dumps(content))
    with pytest.raises(DataError, match="elsewhere"):
        load_extraction(stored)


def test_what_cannot_be_used_is_named(listed, speakers):
    lines = listed.read_text().splitlines()
    write(listed.parent / "clips/short.wav", speech(0, 9, 300))
    write(listed.parent / "clips/silent.wav", np.zeros(900))
    lines += [
        "mix/0-0.wav,alone/0-0.wav,clips/none.wav",
        "mix/0-0.wav,alone/0-0.wav,alone/0-0.wav",
        "mix/0-0.wav,alone/0-0.wav,clips/short.wav",
        "mix/0-0.wav,alone/0-0.wav,clips/silent.wav",
        ",alone/0-0.wav,clips/0.wav",
    ]
    listed.write_text("\n".join(lines) + "\n")
    data = open_extraction(listed, enrolling=SHORT, max_broken=0.5)
    reasons = dict(data.scan.broken)
    assert reasons["clips/none.wav"] == "enrolment: no such file, line 26"
    assert "another recording" in reasons["alone/0-0.wav"]
    assert reasons["clips/short.wav"] == "lasts 0.30 s, and a clip 0.5 s or more"
    assert reasons["clips/silent.wav"] == "silent throughout"
    assert reasons["a row"] == "mixture: no name, line 30"
    with pytest.raises(DataError, match="may be broken, got 3 of 29"):
        open_extraction(listed, enrolling=SHORT)
    listed.write_text("mixture,target\na.wav,b.wav\n")
    facts = ExtractionFacts(rate_hz=RATE, voices=4, seconds=1, clip_seconds=1, speaker="trained")
    for number in range(3, 9):
        shutil.rmtree(speakers / f"s{number}")
    with pytest.raises(DataError, match="must have 4 speakers or more to mix, got 3"):
        open_extraction_test(speakers, facts)


def test_what_a_run_is_asked_about(listed, tmp_path):
    place = listed.parent
    asked = place / "asked.csv"
    asked.write_text(
        "mixture;enrollment\nmix/0-0.wav;clips/0.wav\nmix/none.wav;clips/0.wav\nmix/0-1.wav;\n"
    )
    good, bad, empty = find_pairs(asked)
    assert good.error is None
    assert good.mixture.value == place / "mix/0-0.wav"
    assert good.clip.value == place / "clips/0.wav"
    assert bad.error == f"mix/none.wav: no such file, line 3 of {asked}"
    assert empty.error == f"enrolment: no such file, line 4 of {asked}"
    wave = torch.zeros(9)
    pairs = list(find_pairs([(place / "mix/0-0.wav", wave), ((wave, 8000), str(asked))]))
    assert [(p.mixture.name, p.clip.name) for p in pairs] == [
        (str(place / "mix/0-0.wav"), "sound 1"),
        ("sound 2", str(asked)),
    ]
    (alone,) = find_pairs([place / "mix/0-0.wav"])
    assert "convatlas extract RUN FILE --speaker CLIP" in alone.error
    asked.write_text("file\nmix/0-0.wav\n")
    with pytest.raises(DataError, match="the header must contain mixture, enrolment, got file"):
        list(find_pairs(asked))
    with pytest.raises(UsageError, match="must be given a CSV file"):
        list(find_pairs(wave))
