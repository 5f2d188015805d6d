"""Loudness made even and silence left out: the same in training, test, prediction and export."""

import json
import shutil

import numpy as np
import pytest
import torch

import convatlas as ca
from convatlas.data.audio.open import Hearing, open_sound_test, open_sounds
from convatlas.data.audio.read import read_sound
from convatlas.data.audio.stored import load_sounds
from convatlas.pipeline.run import open_run
from convatlas.progress import Silent
from convatlas.tasks import find_task

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("soxr")
RATE, SILENCE_S = 8000, 0.3
HEARD = {"loudness": "equal", "silence_db": 40}
FACTS = {"classes": ["noise", "tone"], "rate_hz": RATE, "seconds": 0.5, "window_s": 0.5}
TASK = find_task("audio")


def wave(number, label="noise"):
    """Half a second at a random loudness, in the middle of silence."""
    random = np.random.default_rng([number, label == "tone"])
    sound = random.normal(0, 0.05, RATE // 2)
    if label == "tone":
        sound += 0.4 * np.sin(np.arange(len(sound)) * random.uniform(0.2, 1.5))
    quiet = np.zeros(round(SILENCE_S * RATE))
    return np.concatenate([quiet, sound * random.uniform(0.05, 1), quiet]).astype("f4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("heard") / "sounds"
    for label in FACTS["classes"]:
        (root / label).mkdir(parents=True)
        for number in range(30):
            soundfile.write(root / label / f"{number}.wav", wave(number, label), RATE)
    return root


def test_silence_is_left_out_wherever_a_sound_is_read_and_the_scan_says_how_much(folder, tmp_path):
    data = open_sounds(folder, hearing=Hearing(silence_db=40))
    assert data.seconds == pytest.approx(0.5, abs=0.06)
    assert data.scan.sizes["length in ms"][1] == 1100
    (note,) = [note for note in data.scan.notes if "silence" in note]
    assert note.startswith("silence is left out: 5")
    first = data.splits["test"].read(0)
    whole = read_sound(folder / data.splits["test"].files[0])
    assert len(whole) - len(first) == pytest.approx(2 * SILENCE_S * RATE, abs=400)
    data.save(tmp_path / "split.json")
    assert torch.equal(load_sounds(tmp_path / "split.json").splits["test"].read(0), first)
    judged = open_sound_test(folder, data.classes, rate_hz=RATE, hearing=Hearing(silence_db=40))
    place = judged.splits["test"].files.index(data.splits["test"].files[0])
    assert torch.equal(judged.splits["test"].read(place), first)


def test_runs_and_splits_of_before_have_none_of_it(folder, tmp_path):
    data = open_sounds(folder)
    data.save(tmp_path / "split.json")
    stored = json.loads((tmp_path / "split.json").read_text())
    del stored["loudness"], stored["silence_db"]
    (tmp_path / "split.json").write_text(json.dumps(stored))
    again = load_sounds(tmp_path / "split.json")
    assert (
        again.facts()
        == data.facts()
        == FACTS
        | {
            **{"seconds": 1.1, "window_s": 1.1, "max_seconds": 3600},
            **{"loudness": "original", "silence_db": None},
        }
    )
    assert torch.equal(again.splits["test"].read(0), data.splits["test"].read(0))


def predictor(facts):
    settings = {"front": "mfcc", "samples": 4000, "size": 0, "mean": [0.0] * 20, "std": [1.0] * 20}
    torch.manual_seed(0)
    network = ca.create_model("swishnet_slim", num_classes=2)
    return TASK.predictor(network, settings, FACTS | facts).eval()


def asked(facts, *waves):
    model = predictor(facts)
    _, answers = TASK.predict(lambda: model, list(waves), FACTS | facts, Silent())
    return [list(answer.probabilities.values()) for answer in answers]


def test_neither_loudness_nor_silence_changes_the_answer():
    plain = wave(1)[2400:6400]
    padded = np.concatenate([np.zeros(3000, "f4"), plain, np.zeros(5000, "f4")])
    first, *others = asked(HEARD, plain, 0.1 * plain, padded)
    for other in others:
        assert other == pytest.approx(first, abs=1e-5)
    first, quieter, longer = asked({}, plain, 0.1 * plain, padded)
    assert abs(first[0] - quieter[0]) > 1e-3  # so that the test above can fail
    assert abs(first[0] - longer[0]) > 1e-3


@pytest.mark.slow
def test_a_run_tests_predicts_and_exports_what_it_was_trained_on(folder, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = ca.fit(folder, model="swishnet_slim", epochs=2, out=tmp_path / "run", **HEARD)
    assert HEARD.items() <= run.config.facts.items()
    assert run.config.proof.passed
    again = open_run(run.path)
    assert again.evaluate().figures == pytest.approx(run.config.figures, rel=1e-5)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "evened out within a window" in page
    assert "silence is left out" in page
    session = onnxruntime.InferenceSession(run.files["onnx"])
    assert session.get_modelmeta().custom_metadata_map["silence_db"] == "40"
    file = shutil.copy(folder / "tone" / "3.wav", tmp_path / "sound.wav")
    (answer,) = again.predict(file)
    exec(TASK.runtime_code(run.files["onnx"], run.config).replace("sound.wav", str(file)), {})
    label, probability = capsys.readouterr().out.split()[-2:]
    assert (label, float(probability)) == (
        answer.label,
        pytest.approx(answer.probability, abs=1e-4),
    )
    # Loudness is evened out inside the file: a quieter waveform has the same answer.
    heard = wave(3)[None, 2400:6400]
    loud, quiet = (session.run(None, {"waveform": heard * g})[0] for g in (1, np.float32(0.1)))
    np.testing.assert_allclose(loud, quiet, atol=1e-5)
