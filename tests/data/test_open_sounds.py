"""Sets of sounds: layouts, folds, splits, what is found in them."""

import json
import shutil

import numpy as np
import pytest

from convatlas.data.audio.kept_sounds import KeptSounds
from convatlas.data.audio.open import Hearing, open_sound_test, open_sounds
from convatlas.data.audio.stored import learnt_from, load_sounds
from convatlas.errors import DataError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 8000


def write(path, number, rate=RATE, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).normal(0, 0.1, round(seconds * rate)).astype("f4")
    soundfile.write(path, noise, rate)


def class_folders(root, count=8):
    for c, name in enumerate(("dog", "rain")):
        for n in range(count):
            write(root / name / f"{n}.wav", 100 * c + n)
    return root


def esc50(root, folder="meta"):
    """As ESC-50: five folds of two sounds of two classes."""
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for c, name in enumerate(("dog", "rain")):
        for n in range(10):
            file = f"{n % 5 + 1}-{c}{n}-A-{c}.wav"
            write(root / "audio" / file, 100 * c + n)
            lines.append(f"{file},{n % 5 + 1},{c},{name},True,{n},A")
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "esc50.csv").write_text("\n".join(lines))
    return root


def sizes(data):
    return {name: len(split) for name, split in data.splits.items()}


def test_class_folders_are_split_and_opened_again_equal(tmp_path):
    data = open_sounds(class_folders(tmp_path / "sounds"), kept=(kept := KeptSounds()))
    assert sizes(data) == {"train": 12, "val": 2, "test": 2}
    assert data.summary() == "2 classes, 0.1 s at 8,000 Hz"
    assert len(kept) == 16
    data.save(tmp_path / "split.json")
    again = load_sounds(tmp_path / "split.json")
    assert again.facts() == data.facts()
    assert again.splits["test"].files == data.splits["test"].files
    assert (again.splits["test"].read(0) == data.splits["test"].read(0)).all()
    assert len(learnt_from(tmp_path / "split.json")) == 14
    moved = shutil.move(tmp_path / "sounds", tmp_path / "elsewhere")
    with pytest.raises(DataError, match="16 missing"):
        load_sounds(tmp_path / "split.json")
    assert sizes(load_sounds(tmp_path / "split.json", moved)) == sizes(data)


@pytest.mark.parametrize("given", ["", "meta/esc50.csv"])
def test_folds_are_never_cut(tmp_path, given):
    source = esc50(tmp_path) / given
    data = open_sounds(source)
    assert data.classes == ("dog", "rain")  # the words, not the numbers beside them
    folds = {name: {f.split("/")[-1][0] for f in s.files} for name, s in data.splits.items()}
    assert folds == {"train": {"1", "2", "3"}, "val": {"4"}, "test": {"5"}}
    every = [file for split in data.splits.values() for file in split.files]
    assert {file.split("/")[-1][0]: data.folds[file] for file in every} == {n: n for n in "12345"}
    first = open_sounds(source, hearing=Hearing(test_fold="1"))
    folds = {name: {f.split("/")[-1][0] for f in s.files} for name, s in first.splits.items()}
    assert folds == {"train": {"2", "3", "4"}, "val": {"5"}, "test": {"1"}}
    with pytest.raises(DataError, match="test_fold must be one of 1, 2, 3, 4, 5, got 9"):
        open_sounds(source, hearing=Hearing(test_fold="9"))
    data.save(tmp_path / "split.json")
    assert sizes(load_sounds(tmp_path / "split.json")) == sizes(data)
    judged = open_sound_test(source, data.classes, rate_hz=RATE)
    assert sizes(judged) == {"test": 20}


@pytest.mark.parametrize("column", ["group", "speaker"])
def test_sounds_of_one_source_are_never_split(tmp_path, column):
    lines = [f"file,label,{column}"]
    for speaker in range(8):
        for label in ("yes", "no"):
            for n in range(2):
                file = f"{speaker}{label}{n}.wav"
                write(tmp_path / file, 10 * speaker + n + 5 * (label == "no"))
                lines.append(f"{file},{label},{speaker}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    asked = Hearing(group=None if column == "group" else column)
    data = open_sounds(tmp_path / "list.csv", hearing=asked)
    speakers = {name: {f[0] for f in split.files} for name, split in data.splits.items()}
    assert sum(map(len, speakers.values())) == 8
    assert sizes(data) == {"train": 24, "val": 4, "test": 4}
    assert any(f"one '{column}' are not split, 8 of them" in note for note in data.scan.notes)
    other = open_sounds(tmp_path / "list.csv", seed=5, hearing=asked)
    assert other.splits["test"].files != data.splits["test"].files
    with pytest.raises(DataError, match="has no column take for the groups"):
        open_sounds(tmp_path / "list.csv", hearing=Hearing(group="take"))
    few = ["file,label,group", *(f"{n}no0.wav,no,{n}" for n in range(6))]
    few += [f"{n}yes0.wav,yes,{n % 2}" for n in range(6)]
    (tmp_path / "few.csv").write_text("\n".join(few))
    with pytest.raises(DataError, match=r"class yes cannot be in every split.*from 2 sources"):
        open_sounds(tmp_path / "few.csv")


def test_files_in_folders_of_folds_are_found_by_their_names(tmp_path):
    lines = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for c, name in enumerate(("siren", "drill")):
        for n in range(9):
            write(tmp_path / "audio" / f"fold{n % 3 + 1}" / f"{c}{n}.wav", 100 * c + n)
            lines.append(f"{c}{n}.wav,{n},0,1,1,{n % 3 + 1},{c},{name}")
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "UrbanSound8K.csv").write_text("\n".join(lines))
    data = open_sounds(tmp_path)
    assert data.classes == ("drill", "siren")
    assert sizes(data) == {"train": 6, "val": 6, "test": 6}
    assert any("found by their bare names" in note for note in data.scan.notes)
    with pytest.raises(DataError, match="are folds and no classes"):
        open_sounds(tmp_path / "audio")


def test_broken_sounds_are_named_and_skipped_up_to_a_share(tmp_path):
    root = class_folders(tmp_path / "sounds", 20)
    (root / "dog" / "3.wav").write_bytes(b"RIFF")
    data = open_sounds(root)
    assert [file for file, _ in data.scan.broken] == ["dog/3.wav"]
    assert data.scan.warnings()[0].startswith("skipped 1 file that cannot be used: dog/3.wav (")
    with pytest.raises(DataError, match=r"at most 0% of the files may be broken.*--max-broken"):
        open_sounds(root, max_broken=0)


def test_the_same_sound_in_two_classes_or_another_suffix_is_told(tmp_path):
    root = class_folders(tmp_path / "sounds")
    shutil.copy(root / "dog" / "0.wav", root / "rain" / "copy.wav")
    (root / "rain" / "notes.txt").write_text("rain")
    found = " ".join(open_sounds(root).scan.warnings())
    assert "the same sound in two classes" in found
    assert "left out 1 (not named as a sound): rain/notes.txt" in found


def test_nine_of_ten_sounds_are_heard_whole(tmp_path):
    root = class_folders(tmp_path / "sounds", 20)
    for n in range(12):
        write(root / "dog" / f"{n}.wav", n, seconds=0.6)
    assert (data := open_sounds(root)).window_s == 0.6
    assert data.seconds == 0.1
    assert open_sounds(root, hearing=Hearing(window_s=2.0)).window_s == 2.0
    for n in range(8):
        write(root / "rain" / f"{n}.wav", n, rate=1000, seconds=20)
    assert open_sounds(root, hearing=Hearing(rate_hz=1000)).window_s == 5.0


def test_the_lowest_rate_is_heard_so_that_no_class_is_told_by_its_rate(tmp_path):
    root = class_folders(tmp_path / "sounds")
    for n in range(8):
        write(root / "dog" / f"{n}.wav", n, rate=44_100)
    data = open_sounds(root)
    assert data.rate_hz == RATE
    assert "sounds are heard at 8,000 Hz" in data.scan.notes[0]
    assert open_sounds(root, hearing=Hearing(rate_hz=16_000)).rate_hz == 16_000
    assert len(data.splits["test"].read(0)) == 800


def test_a_folder_without_sounds_or_with_two_lists_is_refused(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(DataError, match="a class folder must contain sounds"):
        open_sounds(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        open_sounds(tmp_path / "none")
    root = esc50(tmp_path / "esc")
    shutil.copy(root / "meta" / "esc50.csv", root / "list.csv")
    with pytest.raises(DataError, match=r"several lists of its sounds, list.csv, meta/esc50.csv"):
        open_sounds(root)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("kind", "images", "kind: Input should be 'sounds'"),
        ("rate_hz", 1, "rate_hz: "),
        ("root", "/etc", "root: "),
        ("classes", ["dog", "dog"], "one is listed twice"),
        ("format", 7, "must have format 1, got 7"),
    ],
)
def test_a_damaged_split_is_refused_in_one_sentence(tmp_path, key, value, says):
    open_sounds(class_folders(tmp_path / "sounds")).save(tmp_path / "split.json")
    stored = json.loads((tmp_path / "split.json").read_text())
    (tmp_path / "split.json").write_text(json.dumps({**stored, key: value}))
    with pytest.raises(DataError, match=says):
        load_sounds(tmp_path / "split.json")
