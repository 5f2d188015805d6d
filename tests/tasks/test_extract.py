"""The task of extraction through the main job: learns, is judged, exported, reported and used."""

import json

import numpy as np
import pytest
import torch

import convatlas as ca
from convatlas.cli.main import main
from convatlas.errors import UsageError
from convatlas.explain.signals.extraction import ExtractionEvaluation
from convatlas.models import registry
from convatlas.models.speech.tsenet import TseNet
from convatlas.pipeline.run import open_run
from convatlas.tasks import find_task

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE = 1000


def write_speech(folder, first=0):
    """Ten speakers of tones with gaps, two recordings each."""
    for who in range(10):
        for number in range(2):
            random = np.random.default_rng([first, who, number])
            time = np.arange(3 * RATE) / RATE
            sound = 0.3 * np.sin(2 * np.pi * (40 + 40 * who) * time + random.uniform(0, 6))
            sound *= np.repeat(random.uniform(0.2, 1, 30), 100)
            path = folder / f"s{who}" / f"{first}-{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, RATE)
    return folder


@pytest.fixture(scope="module")
def tiny():
    """A network that costs the tests little, as if a user had registered it."""
    entries = dict(registry._entries)
    small = {"encoder_filters": 16, "channels": 8, "hidden": 16, "speaker_channels": 8}
    registry.register("tiny_tsenet", TseNet, "extract", **small, blocks=2, repeats=1)
    yield "tiny_tsenet"
    registry._entries.clear()
    registry._entries.update(entries)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("extract")
    return ca.fit(
        write_speech(folder / "speech"),
        task="extract",
        model=tiny,
        epochs=0.1,
        max_trials=1,
        out=folder / "run",
        seconds=0.5,
        clip_seconds=0.6,
    )


@pytest.mark.slow
def test_the_job_is_whole(run):
    config = run.config
    assert config.steps == {"test": "done", "export": "done", "report": "done"}
    assert config.task == "extract"
    assert config.options["enrolment"] == config.facts["speaker"] == "trained"
    assert config.proof.passed
    assert config.input == [[500], [600]]
    assert set(config.figures) == {"si_sdri_db", "si_sdr_db", "right_speaker", "other_speaker"}
    assert config.figures["si_sdri_db"] == config.value
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert '<section id="voices">' in page
    assert page.count("<audio") == 3 * 7
    assert "the right speaker comes out in" in page
    assert page.count("<p>clip of the other speaker</p>") == 3


@pytest.mark.slow
def test_reopened_it_answers_the_same_and_knows_what_it_learnt_from(run, tmp_path):
    again = open_run(run.path)
    assert again.evaluate().figures == pytest.approx(run.config.figures, rel=1e-4)
    other = write_speech(tmp_path / "others", first=9)
    assert again.evaluate(other).seen == 0
    with_own = again.evaluate(again.config.source)
    assert 0 < with_own.seen < 200
    assert len(with_own) == 200 - with_own.seen


@pytest.mark.slow
def test_the_exported_file_and_the_run_give_the_same_voice_of_a_long_recording(run, capsys):
    from convatlas.deploy.onnx_file import OnnxFile

    predictor, file = run.predictor(), OnnxFile(run.files["onnx"])
    assert file.inputs == ["mixture", "enrolment"]
    draw = torch.Generator().manual_seed(0)
    mixture = 0.2 * torch.randn(2 * predictor.window + 77, generator=draw)
    clip = run.data().splits["test"].read(0)[1]
    (voice,) = predictor.predict([(mixture, clip)])
    torch.testing.assert_close(
        predictor.answers([(mixture, clip)], file.run)[0], voice, atol=1e-4, rtol=0
    )
    pieces = list(predictor.in_pieces(mixture.split(500), clip))
    torch.testing.assert_close(torch.cat(pieces), voice)
    assert max(map(len, pieces)) <= predictor.window
    (short,) = predictor.predict([(mixture[:5], clip)])
    assert short.shape == (5,)


@pytest.mark.slow
def test_the_verb_writes_the_voice_of_the_clip_and_loses_nothing(run, tmp_path, capsys):
    mixture, clip = run.data().splits["test"].read(0)
    soundfile.write(tmp_path / "talk.wav", mixture.numpy(), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "anna.wav", clip.numpy(), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "fast.wav", np.repeat(clip.numpy(), 2), 2 * RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", clip[:100].numpy(), RATE)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    out = tmp_path / "voices"

    def told(*words, speaker="anna.wav", code=0):
        capsys.readouterr()
        asked = ["extract", str(run.path), *map(str, words), "--speaker", str(tmp_path / speaker)]
        with pytest.raises(SystemExit) as ended:
            main([*asked, "--out", str(out)])
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed.err
        return printed

    files = tmp_path / "talk.wav", tmp_path / "bad.wav"
    printed = told(*files, "--json")
    good, bad = json.loads(printed.out)["recordings"]
    assert good["voice"].endswith("talk-anna.wav")
    assert bad["voice"] is None
    assert "bad.wav" in bad["error"]
    assert bad["error"] in printed.err
    (answer,) = run.predict((tmp_path / "talk.wav", tmp_path / "anna.wav"))
    written = torch.from_numpy(soundfile.read(good["voice"])[0]).float()
    torch.testing.assert_close(written, answer.voice.clamp(-1, 1), atol=1e-3, rtol=0)
    assert "--force replaces it" in told(*files, code=2).err
    told(*files, "--force")
    told(files[0], speaker="fast.wav")  # of another rate: resampled
    assert (out / "talk-fast.wav").exists()
    assert "must last 0.5 s or more, got 0.1 s" in told(files[0], speaker="short.wav", code=3).err
    assert "silent throughout" in told(files[0], speaker="silent.wav", code=3).err
    assert "bad.wav" in told(files[0], speaker="bad.wav", code=3).err
    assert answer.save(tmp_path / "more").name == "talk-anna.wav"


@pytest.mark.slow
def test_predict_answers_a_list_of_pairs(run, tmp_path, capsys):
    mixture, clip = run.data().splits["test"].read(1)
    soundfile.write(tmp_path / "talk.wav", mixture.numpy(), RATE)
    soundfile.write(tmp_path / "anna.wav", clip.numpy(), RATE)
    soundfile.write(tmp_path / "short.wav", clip[:100].numpy(), RATE)
    listed = tmp_path / "pairs.csv"
    listed.write_text("mixture,enrolment\ntalk.wav,anna.wav\ntalk.wav,short.wav\n")
    good, bad = run.predict([listed])
    assert good.seconds == len(mixture) / RATE
    assert good.cells(1)[0] == str(tmp_path / "anna.wav")
    assert "must last 0.5 s or more" in bad.error
    in_memory = run.predict([(mixture, clip)])
    torch.testing.assert_close(in_memory[0].voice, good.voice, atol=2e-3, rtol=0)


@pytest.mark.slow
def test_options_are_checked_and_a_run_of_another_task_is_refused(run, tmp_path, monkeypatch):
    task = find_task("extract")
    for options, words in (
        ({"speaker": "guess"}, "speaker must be one of trained, statistics, vector, got 'guess'"),
        ({"single": 2}, "single must be one of leave, halve"),
        ({"clip_seconds": 0.1}, "clip_seconds must be from 0.5 to 60"),
        ({"voices": 1}, "voices must be from 2 to 6, got 1"),
        ({"sped": 1}, "'sped' is no option here"),
    ):
        with pytest.raises(UsageError, match=words):
            task.check_options(options)
    from convatlas.cli.extract import extract_command
    from convatlas.pipeline.run import Run

    monkeypatch.setattr(Run, "predictor", lambda self: torch.nn.Identity())
    with pytest.raises(UsageError, match="the voice of one speaker comes from a run of the task"):
        extract_command(run.path, [], tmp_path, tmp_path, False, False)


def judged(before, after, right, swapped):
    return ExtractionEvaluation(
        [str(n) for n in range(len(before))], torch.tensor(before), torch.tensor(after), right,
        swapped,
    )  # fmt: skip


def test_figures_table_and_doubts():
    some = judged([0.0, 1.0, -1.0, 0.5], [10.0, 1.5, 3.0, 0.7], [True, False, True, True],
                  [True, None, True, False])  # fmt: skip
    assert some.figures == pytest.approx(
        {"si_sdri_db": 3.675, "si_sdr_db": 3.8, "right_speaker": 0.75, "other_speaker": 2 / 3}
    )
    assert some.not_extracted == 2
    assert [row[0] for row in some.table()[1]] == ["3", "1", "2", "0"]
    assert "speaker in 75.0% (95 % interval 30.1% to 95.4%)" in some.record()["words"]
    assert "no more often than by chance" in some.record()["doubts"][0]
    many = judged([0.0] * 40, [9.0] * 40, [True] * 40, [True] * 40)
    assert many.record()["doubts"] == []
    deaf = judged([0.0] * 40, [9.0] * 40, [True] * 40, [True, False] * 20)
    (doubt,) = deaf.record()["doubts"]
    assert doubt.startswith("given the other speaker's clip, the other voice comes out in 50.0%")
    poor = judged([0.0] * 40, [0.1] * 40, [True] * 40, [None] * 40)
    assert "hardly extracts" in poor.record()["doubts"][0]
    assert "other_speaker" not in poor.figures


@pytest.mark.slow
def test_a_run_that_is_told_the_speaker_by_vectors(tiny, tmp_path, capsys):
    from convatlas.deploy.onnx_file import OnnxFile

    folder, rows = write_speech(tmp_path / "speech"), ["mixture,target,vector"]
    vectors = np.random.default_rng(0).normal(size=(10, 5)).astype("f4")
    np.savez(tmp_path / "all.npz", **{f"s{who}": each for who, each in enumerate(vectors)})
    for pair in range(5):
        for number in range(2):
            files = [folder / f"s{2 * pair + k}" / f"0-{number}.wav" for k in range(2)]
            mixture = sum(soundfile.read(file)[0] for file in files)
            soundfile.write(tmp_path / f"{pair}-{number}.wav", mixture, RATE)
            for k, file in enumerate(files):
                rows.append(f"{pair}-{number}.wav,{file},all.npz[s{2 * pair + k}]")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    run = ca.fit(
        tmp_path / "list.csv", model=tiny, epochs=1, max_trials=1, out=tmp_path / "run", seconds=0.5
    )
    config = open_run(run.path).config
    assert config.steps == {"test": "done", "export": "done", "report": "done"}
    assert (config.facts["speaker"], config.facts["speaker_features"]) == ("vector", 5)
    assert config.proof.passed
    assert OnnxFile(run.files["onnx"]).inputs == ["mixture", "speaker"]
    assert open_run(run.path).evaluate().figures == pytest.approx(config.figures, rel=1e-4)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "a vector of 5 numbers from elsewhere" in page
    assert "<p>clip of the" not in page
    np.save(tmp_path / "anna.npy", vectors[3])
    np.save(tmp_path / "long.npy", np.zeros(6))
    talk = str(tmp_path / "1-0.wav")
    (by_file,) = run.predict((talk, str(tmp_path / "anna.npy")))
    (by_numbers,) = run.predict((talk, vectors[3]))
    assert torch.equal(by_file.voice, by_numbers.voice)

    def told(speaker, code=0):
        capsys.readouterr()
        words = ["extract", str(run.path), talk, "--speaker", str(speaker)]
        with pytest.raises(SystemExit) as ended:
            main([*words, "--out", str(tmp_path / "voices")])
        assert (ended.value.code or 0) == code
        return capsys.readouterr().err

    told(tmp_path / "anna.npy")
    told(f"{tmp_path / 'all.npz'}[s3]")
    for name in ("1-0-anna.wav", "1-0-s3.wav"):
        written = torch.from_numpy(soundfile.read(tmp_path / "voices" / name)[0]).float()
        torch.testing.assert_close(written, by_file.voice.clamp(-1, 1), atol=1e-3, rtol=0)
    assert "long.npy: a speaker's vector must have 5 numbers here, got 6" in told(
        tmp_path / "long.npy", 3
    )
    assert "told the speaker by a vector of 5 numbers" in told(talk, 2)
