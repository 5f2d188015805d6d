"""Speakers told by vectors from elsewhere: read, checked, listed, stored and opened again."""

import numpy as np
import pytest
import torch

from convatlas.data.audio.asked_pairs import find_pairs
from convatlas.data.audio.extraction_data import ExtractionFacts
from convatlas.data.audio.open_extraction import Enrolling, open_extraction, open_extraction_test
from convatlas.data.audio.speaker_vector import read_vector
from convatlas.data.audio.stored_extraction import load_extraction
from convatlas.errors import DataError
from convatlas.tasks import recognise_task

RATE, FEATURES = 1000, 4


def test_a_vector_is_read_from_every_place_that_can_hold_one(tmp_path):
    want = np.array([0.5, -1, 2, 3e-2], "f4")
    np.save(tmp_path / "a.npy", want)
    np.save(tmp_path / "column.npy", want[:, None].astype("f8"))
    np.save(tmp_path / "rows.npy", np.stack([want * 0, want]))
    np.savez(tmp_path / "one.npz", want)
    np.savez(tmp_path / "many.npz", anna=want, ben=want * 0)
    for name in ("a.npy", "column.npy", "rows.npy[1]", "one.npz", "many.npz[anna]"):
        assert read_vector(str(tmp_path / name)).tolist() == want.tolist(), name
        assert read_vector(name, tmp_path, FEATURES).tolist() == want.tolist(), name
    for text in ("0.5 -1 2 3e-2", "[0.5, -1, 2, 0.03]", "0.5;-1;2;.03"):
        torch.testing.assert_close(read_vector(text), torch.from_numpy(want))


def test_what_is_no_vector_is_named(tmp_path):
    np.save(tmp_path / "odd.npy", np.array([1, np.nan, np.inf, 2]))
    np.save(tmp_path / "matrix.npy", np.zeros((3, 4)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", anna=np.zeros(4), ben=np.zeros(4))
    np.save(tmp_path / "cut.npy", np.zeros(400))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:1000])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "many.npz").read_bytes()[:100])
    for name, says in (
        ("odd.npy", "2 of 4 numbers are not finite"),
        ("matrix.npy", r"must have one axis, got \(3, 4\); a row of a matrix is named as"),
        ("matrix.npy[3]", r"no such row in an array \(3, 4\)"),
        ("words.npy", "must be numbers, got <U1"),
        ("pickle.npy", "no vector can be read"),
        ("many.npz", "name one of its 2 arrays, anna, ben"),
        ("many.npz[eve]", "name one of its 2 arrays, anna, ben"),
        ("cut.npy", "no vector can be read"),
        ("cut.npz", "no vector can be read"),
        ("gone.npy", "no such file"),
        ("matrix.npy[1]", "must have 5 numbers here, got 4"),
        ("0.5 nan 1 2 3", "1 of 5 numbers are not finite"),
        ("anna", "a speaker's vector is a file .npy or .npz, or numbers"),
    ):
        with pytest.raises(DataError, match=says) as raised:
            read_vector(name, tmp_path, 5 if name.endswith("[1]") else None)
        assert name in str(raised.value)


@pytest.fixture
def listed(tmp_path):
    """Twelve mixtures of six pairs of speakers, each asked for both voices by vectors."""
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    rows, folder = ["mixture,target,vector"], tmp_path / "listed"
    folder.mkdir()
    vectors = np.random.default_rng(0).normal(size=(12, FEATURES))
    np.savez(folder / "all.npz", **{f"s{who}": each for who, each in enumerate(vectors)})
    time = np.arange(1500) / RATE
    for pair in range(6):
        for number in range(2):
            tones = [0.3 * np.sin((2 * pair + k + 2) * 50 * time + number) for k in range(2)]
            soundfile.write(folder / f"{pair}-{number}.wav", sum(tones), RATE)
            for k, tone in enumerate(tones):
                alone = f"{pair}-{number}-{k}.wav"
                soundfile.write(folder / alone, tone, RATE)
                rows.append(f"{pair}-{number}.wav,{alone},all.npz[s{2 * pair + k}]")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


def test_a_list_with_vectors_is_an_extraction_set_and_opened_again_equal(listed, tmp_path):
    assert recognise_task(listed).name == "extract"
    data = open_extraction(listed, enrolling=Enrolling(seconds=0.5))
    assert (data.speaker, data.speaker_features) == ("vector", FEATURES)
    assert "with vectors of 4 numbers" in data.summary()
    asked = data.splits["test"].asked(0)
    stored = np.load(listed.parent / "all.npz")
    who = data.splits["test"].files[0].rpartition("[")[2].rstrip("]")
    np.testing.assert_allclose(asked.clip, stored[who], rtol=1e-6)
    other = f"s{int(who[1:]) ^ 1}"
    np.testing.assert_allclose(asked.other_clip, stored[other], rtol=1e-6)
    shapes = [tuple(each.shape) for each in data.splits["train"].pieces(500, 0, fresh=True)[0]]
    assert shapes == [(500,), (FEATURES,), (500,)]
    data.save(tmp_path / "split.json")
    again = load_extraction(tmp_path / "split.json")
    assert again.facts() == data.facts()
    assert torch.equal(again.splits["test"].asked(0).clip, asked.clip)
    judged = open_extraction_test(listed, ExtractionFacts.model_validate(data.facts()))
    assert len(judged.splits["test"]) == 24


def test_rows_of_one_speaker_share_a_split(listed):
    data = open_extraction(listed)
    told = {
        name: {file.rpartition(" as in ")[2] for file in split.files}
        for name, split in data.splits.items()
    }
    assert not told["train"] & told["test"]
    assert sum(map(len, told.values())) == 12


def test_bad_vectors_are_named_with_their_line_and_left_out(listed):
    lines = listed.read_text().splitlines()
    for place, vector in ((1, "1 2 3"), (3, "1 2 nan 4"), (5, "gone.npy"), (7, "all.npz[eve]")):
        lines[place] = f"{lines[place].rpartition(',')[0]},{vector}"
    listed.write_text("\n".join(lines))
    data = open_extraction(listed, max_broken=0.5)
    reasons = [reason for _, reason in data.scan.broken]
    assert "vector 1 2 3: must have 4 numbers as the others, got 3, line 2" in reasons
    assert any("1 of 4 numbers are not finite, line 4" in each for each in reasons)
    assert "vector: no such file, line 6" in reasons
    assert any("name one of its 12 arrays" in each and "line 8" in each for each in reasons)
    assert sum(len(split) for split in data.splits.values()) == 20


def test_a_list_without_clips_or_a_folder_cannot_be_read_the_other_way(listed):
    with pytest.raises(DataError, match="header must contain mixture, target, enrolment"):
        open_extraction(listed, enrolling=Enrolling(speaker="trained"))
    with pytest.raises(DataError, match="must be a CSV file with the columns mixture, target and"):
        open_extraction(listed.parent, enrolling=Enrolling(speaker="vector"))


def test_runs_of_before_say_nothing_of_vectors():
    facts = {"rate_hz": RATE, "voices": 2, "seconds": 1.0, "clip_seconds": 1.0}
    old = {**facts, "speaker": "trained", "max_seconds": 9.0}
    assert ExtractionFacts(**old).model_dump(mode="json", exclude_none=True) == old
    for wrong in ({"speaker": "vector"}, {"speaker": "trained", "speaker_features": 4}):
        with pytest.raises(ValueError, match="speaker_features must be given"):
            ExtractionFacts(**facts, **wrong)


def test_pairs_ask_with_vectors(listed):
    pairs = listed.parent / "pairs.csv"
    pairs.write_text("mixture,vector\n0-0.wav,all.npz[s3]\n0-0.wav,1 2 3 4\n0-0.wav,gone.npy\n")
    first, second, gone = find_pairs(pairs, "vector")
    assert read_vector(first.clip.value).shape == (FEATURES,)
    assert second.clip.value == "1 2 3 4"
    assert "gone.npy: no such file, line 4" in gone.error
    with pytest.raises(DataError, match="must contain mixture, enrolment"):
        list(find_pairs(pairs))
