"""The task of separation through the main job: learns, is judged, exported, reported and used."""

import json

import numpy as np
import pytest
import torch

import convatlas as ca
from convatlas.cli.main import main
from convatlas.errors import DataError, UsageError
from convatlas.explain.signals.separation import SeparationEvaluation
from convatlas.models import registry
from convatlas.models.speech.conv_tasnet import ConvTasNet
from convatlas.pipeline.run import open_run
from convatlas.tasks import find_task, recognise_task

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
    small = {"encoder_filters": 16, "bottleneck": 8, "hidden": 16, "skip_channels": 8}
    registry.register("tiny_tasnet", ConvTasNet, "separate", **small, blocks=2, repeats=1)
    yield "tiny_tasnet"
    registry._entries.clear()
    registry._entries.update(entries)


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("separate")
    return ca.fit(
        write_speech(folder / "speech"),
        task="separate",
        model=tiny,
        epochs=0.2,
        max_trials=1,
        out=folder / "run",
        seconds=0.5,
    )


def test_the_job_is_whole(run):
    config = run.config
    assert config.steps == {"test": "done", "export": "done", "report": "done"}
    assert config.task == "separate"
    assert config.options["speakers"] == 2
    assert config.proof.passed
    assert config.figures["si_snri_db"] == config.value
    assert config.recipe["clip_norm"] == 5.0  # the task's own
    assert {k: config.training[k] for k in ("level_db", "mixtures")} == {
        "level_db": 5.0,
        "mixtures": 1000,
    }
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert '<section id="voices">' in page
    assert page.count("<audio") == 3 * 5
    assert "clearer (SI-SNR)" in page


def test_reopened_it_answers_the_same_and_knows_what_it_learnt_from(run, tmp_path):
    again = open_run(run.path)
    assert again.evaluate().figures == pytest.approx(run.config.figures, rel=1e-4)
    other = write_speech(tmp_path / "others", first=9)
    assert again.evaluate(other).seen == 0
    with_own = again.evaluate(again.config.source)
    learnt = {f for name in ("train", "val") for f in run.data().splits[name].mixer.files}
    opened = again.task.open_test(
        again.config.source, again.config.facts, max_broken=0, progress=lambda *_: None
    )
    split = opened.splits["test"]
    expected = sum(bool(learnt & set(split.behind(i))) for i in range(len(split)))
    assert with_own.seen == expected > 0
    assert len(with_own) == len(split) - expected


def test_the_verb_writes_each_voice_and_loses_nothing(run, tmp_path, capsys):
    mixture = run.data().splits["test"].read(0)
    soundfile.write(tmp_path / "talk.wav", mixture.numpy(), RATE, subtype="FLOAT")
    (tmp_path / "bad.wav").write_bytes(b"nothing")
    out = tmp_path / "voices"
    words = ["separate", str(run.path), str(tmp_path / "talk.wav"), str(tmp_path / "bad.wav")]
    words += ["--out", str(out)]

    def told(*more):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, *more])
        return ended.value.code or 0, capsys.readouterr()

    code, printed = told("--json")
    assert code == 0
    good, bad = json.loads(printed.out)["recordings"]
    assert [p.rpartition("/")[2] for p in good["voices"]] == ["talk-voice1.wav", "talk-voice2.wav"]
    assert "bad.wav" in bad["error"]
    assert bad["error"] in printed.err
    voices = torch.stack([torch.from_numpy(soundfile.read(p)[0]).float() for p in good["voices"]])
    torch.testing.assert_close(voices, run.predict([mixture])[0].voices, atol=1e-3, rtol=0)
    code, printed = told()
    assert code == 2
    assert "--force replaces it" in printed.err
    assert told("--force")[0] == 0
    prediction = run.predict([tmp_path / "talk.wav"])[0]
    assert len(prediction.levels_db) == 2
    assert [p.name for p in prediction.save(tmp_path / "more")] == [
        "talk-voice1.wav",
        "talk-voice2.wav",
    ]


def test_mixtures_are_recognised_and_options_are_checked(tmp_path):
    for name in ("mix", "s1", "s2"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", np.ones(900) / 2, RATE)
    assert recognise_task(tmp_path).name == "separate"
    (tmp_path / "mix_clean").mkdir()  # two kinds of mixtures are named, not taken for classes
    assert recognise_task(tmp_path).name == "separate"
    with pytest.raises(DataError, match="one folder of mixtures, got mix, mix_clean"):
        find_task("separate").open(tmp_path, seed=0, max_broken=0, options={}, progress=None)
    task = find_task("separate")
    task.check_options({"background": "music", "level_db": 5})
    for options, words in (
        ({"voices": 1}, "voices must be from 2 to 6, got 1"),
        ({"voices": 2.5}, "voices must be"),
        ({"voices": "two"}, "voices must be"),
        ({"seconds": "long"}, "seconds must be"),
        ({"augmentation": "none"}, "'augmentation' is no option here"),
        ({"background": "a/b"}, "background must be a name without"),
        ({"background": 3}, "background must be a name without"),
    ):
        with pytest.raises(UsageError, match=words):
            task.check_options(options)


def test_figures_table_and_doubts():
    before = torch.tensor([0.0, 1.0, -1.0, 0.5])
    after = torch.tensor([10.0, 1.5, 3.0, 0.7])
    judged = SeparationEvaluation(["a", "b", "c", "d"], before, after)
    assert judged.figures == pytest.approx({"si_snri_db": 14.7 / 4, "si_snr_db": 15.2 / 4})
    assert judged.not_separated == 2
    assert [row[0] for row in judged.table()[1]] == ["d", "b", "c", "a"]
    half = 1.96 * (after - before).std().item() / 2
    assert judged.interval == pytest.approx((3.675 - half, 3.675 + half))
    assert judged.record()["doubts"] == []
    worse = SeparationEvaluation(["a", "b"], before[:2], before[:2])
    assert "hardly separates voices" in worse.record()["doubts"][0]
