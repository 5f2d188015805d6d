"""Sounds as a task: which data are sounds, which networks hear what, options, long sounds."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import convatlas as ca
from convatlas.data.audio.sound_data import ORIGINAL, Clips
from convatlas.errors import DataError, UsageError
from convatlas.models.registry import find_entry
from convatlas.pipeline.outlook import outlook
from convatlas.progress import Silent
from convatlas.search.space import Candidate
from convatlas.tasks import find_task, recognise_task, task_of_network
from convatlas.tasks.audio_networks import fresh_networks, front_of
from convatlas.tasks.sound_windows import LazyWindows
from convatlas.tasks.trial_sounds import TrialSounds
from convatlas.train.recipe import Recipe

TASK = find_task("audio")
FACTS = {"classes": ["a", "b"], "rate_hz": 8000, "seconds": 0.5, "window_s": 0.5}
DATA = SimpleNamespace(classes=("a", "b"), rate_hz=8000, window_s=0.5, loudness=ORIGINAL)


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return root


def test_the_names_of_the_files_tell_sounds_from_images(tmp_path):
    songs = [f"rock/{n}.mp3" for n in range(12)]
    assert recognise_task(touch(tmp_path / "a", *songs, "rock/cover.jpg")).name == "audio"
    assert recognise_task(touch(tmp_path / "b", "cat/1.png")).name == "classify"
    both = touch(tmp_path / "c", "cat/1.png", "cat/1.wav")
    with pytest.raises(UsageError, match="suits classify and audio; say which with --task"):
        recognise_task(both)
    (tmp_path / "a" / "list.csv").write_text("file,label\nrock/1.mp3,rock\n")
    assert recognise_task(tmp_path / "a" / "list.csv").name == "audio"
    (tmp_path / "b" / "list.csv").write_text("id,label\n17,cat\n")
    assert recognise_task(tmp_path / "b" / "list.csv").name == "classify"
    with pytest.raises(DataError, match="'digits' is the embedded data set"):
        ca.fit(tmp_path / "none")


def test_a_network_of_images_is_lent_where_the_data_are_sounds(tmp_path):
    sounds, images = touch(tmp_path / "a", "x/1.wav"), touch(tmp_path / "b", "x/1.png")
    assert task_of_network("classify", sounds).name == "audio"
    assert task_of_network("classify", images).name == "classify"
    assert task_of_network("audio", images).name == "audio"


@pytest.mark.parametrize(
    ("name", "front", "example"),
    [
        ("swishnet_slim", "mfcc", {"frames": 48, "seconds": 0.5}),
        ("mobilenet_v1_audio", "log_mel", {"size": 32, "seconds": 0.5}),
        ("lenet5_modern", "log_mel", {"size": 32, "seconds": 0.5}),
    ],
)
def test_each_network_hears_what_its_paper_says(name, front, example):
    assert front_of(name) == front
    candidate = fresh_networks([find_entry(name)], DATA, fixed_width=True)[name][-1][0]
    assert candidate.example == example
    settings = TASK.settings(candidate, FACTS)
    predictor = TASK.predictor(candidate.build(), settings, FACTS)
    assert predictor.predict([torch.randn(700), torch.randn(9000)]).shape == (2, 2)


def test_the_three_images_of_a_network_for_sound_fit_it():
    for name, front in (("esresnet", "three_bands"), ("densenet201_audio", "three_windows")):
        candidate = fresh_networks([find_entry(name)], DATA, fixed_width=False)[name][-1][-1]
        assert front_of(name) == front
        predictor = TASK.predictor(torch.nn.Identity(), TASK.settings(candidate, FACTS), FACTS)
        heard = predictor.features(torch.randn(1, 4000))
        assert heard.shape[1:] == candidate.inputs(SimpleNamespace(example=_three))[0].shape[1:]


def _three(batch, size):
    return (torch.rand(batch, 3, size, size),)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rate": 10}, "rate must be from 1000 to 768,000, got 10"),
        ({"window": "long"}, "window must be from 0.05 to 60, got 'long'"),
        ({"loudness": "loud"}, "loudness must be one of original, equal, got 'loud'"),
        ({"silence_db": 0}, "silence_db must be from 3 to 120, got 0"),
        ({"augmentation": "photo"}, "augmentation must be one of auto, none, masks, mixup"),
        ({"max_pixels": 9}, "'max_pixels' is no option here"),
        ({"label_smoothing": 2}, "label_smoothing must be from 0"),
    ],
)
def test_options_are_checked_before_anything_is_read(options, says):
    with pytest.raises(UsageError, match=says):
        TASK.check_options(options)


class Waves:
    """Sounds in memory: class 1 is louder."""

    kept = None

    def read(self, file):
        label, seed, length = map(int, file.split("/"))
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(length, generator=generator) * (0.01 + 0.2 * label)


def trial(level="masks"):
    lengths = (3000, 4000, 9000, 4001)
    splits = {}
    for name in ("train", "val"):
        files = [f"{n % 2}/{n}/{lengths[n % 4]}" for n in range(12)]
        splits[name] = Clips(files, [n % 2 for n in range(12)], Waves())
    known = {"digests": {}, "groups": {}, "folds": {}, "forget_decoded": lambda: None}
    data = SimpleNamespace(splits=splits, **known, **vars(DATA))
    candidate = Candidate("lenet5_modern", {}, {"size": 32, "seconds": 0.5})
    return TrialSounds(data, level, Silent()), candidate


def test_a_pass_hears_each_training_sound_once_and_validation_every_window():
    sounds, candidate = trial()
    sounds.read(candidate)
    assert sounds.is_read(candidate)
    task = sounds.training(candidate, Recipe(), None)
    train, validate = task.loaders(4, 0)
    assert sorted(torch.cat([labels for _, labels in train]).tolist()) == [0] * 6 + [1] * 6
    places = torch.cat([each for _, each in validate])
    assert places.bincount().tolist() == [1, 1, 3, 2] * 3  # of 4,000 samples each
    few = sounds.training(candidate, Recipe(), 5)
    assert len(few.loaders(4, 0)[1].dataset.labels) == 5
    sounds.keep([])
    assert not sounds.is_read(candidate)


def test_no_fold_of_sounds_learns_what_it_is_judged_on_and_all_are_judged(monkeypatch):
    sounds, candidate = trial()
    numbers = sounds.folds(3, 0)
    for lazy in (False, True):
        if lazy:
            monkeypatch.setattr("convatlas.tasks.trial_sounds.free_memory_bytes", lambda: 4000)
            sounds, _ = trial()
        judged = []
        for held in range(3):
            task = sounds.fold(candidate, numbers, held)
            learn, judge = (loader.dataset for loader in task.loaders(4, 0))
            assert isinstance(judge, LazyWindows) == lazy
            assert (learn.training, judge.training) == (True, False)
            assert len(learn) + len(judge.labels) == 24
            # A sound answers with its place among those that are judged, whose labels go along.
            assert {int(judge[i][1]) for i in range(len(judge))} == set(range(len(judge.labels)))
            judged += judge.labels.tolist()
        assert sorted(judged) == [0] * 12 + [1] * 12


def test_folds_keep_sources_together_and_take_those_that_the_data_state():
    sounds, _ = trial()
    files = {name: split.files for name, split in sounds.data.splits.items()}
    sounds.data.groups.update({file: str(i // 4) for i, file in enumerate(files["train"])})
    numbers = sounds.folds(3, 0)["train"]
    assert all(len(set(numbers[i : i + 4])) == 1 for i in (0, 4, 8))
    sounds, _ = trial()
    for split in sounds.data.splits.values():
        split.files[:] = [f"{file}/{id(split)}" for file in split.files]
    every = [file for split in sounds.data.splits.values() for file in split.files]
    sounds.data.folds.update({file: f"fold{i % 4}" for i, file in enumerate(every)})
    assert sounds.folds(5, 0) == {"train": [0, 1, 2, 3] * 3, "val": [0, 1, 2, 3] * 3}
    assert sounds.folds(2, 0)["val"] == [0, 1, 0, 1] * 3


def test_features_without_room_in_memory_are_computed_when_asked_for(monkeypatch):
    kept, candidate = trial()
    expected = next(iter(kept.frozen_batches(candidate, "val", None)))
    monkeypatch.setattr("convatlas.tasks.trial_sounds.free_memory_bytes", lambda: 4000)
    sounds, _ = trial()
    task = sounds.training(candidate, Recipe(), None)
    train, validate = task.loaders(4, 0)
    assert isinstance(train.dataset, LazyWindows)
    batches = list(train)
    assert [x.shape for x, _ in batches] == [(4, 1, 32, 32)] * 3
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == [0] * 6 + [1] * 6
    assert torch.cat([places for _, places in validate]).tolist() == list(range(12))
    few = sounds.training(candidate, Recipe(), 5).loaders(4, 0)[1].dataset
    assert [int(few[i][1]) for i in range(5)] == [0, 1, 2, 3, 4]
    lazy = next(iter(sounds.frozen_batches(candidate, "val", None)))
    torch.testing.assert_close(lazy, expected, atol=0.5, rtol=0)  # measured on fewer windows


def test_what_training_hears_is_what_the_predictor_hears():
    sounds, candidate = trial()
    settings = sounds.settings(candidate)
    predictor = TASK.predictor(torch.nn.Identity(), settings, FACTS)
    frozen = torch.cat([x for x, _ in sounds.frozen_batches(candidate, "val", [1, 5])])
    wave = sounds.data.splits["val"].read(1)
    torch.testing.assert_close(frozen[:1], predictor.features(wave[None]), atol=2e-2, rtol=0)
    assert json.loads(json.dumps(settings)) == settings


def test_waveforms_in_memory_are_asked_like_files():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32 * 32, 2))
    candidate = Candidate("lenet5_modern", {}, {"size": 32, "seconds": 0.5})
    predictor = TASK.predictor(network, TASK.settings(candidate, FACTS), FACTS).eval()
    wave = np.random.default_rng(0).normal(0, 0.1, 5000).astype("f4")
    whole = (wave * 32768).round().astype("i2")
    asked = [wave, torch.from_numpy(wave), whole, (wave, 8000), np.full(9, np.nan)]
    total, answers = TASK.predict(lambda: predictor, asked, FACTS, Silent())
    found = list(answers)
    assert total == 5
    first = found[0].probabilities["a"]
    assert all(each.probabilities["a"] == pytest.approx(first, abs=1e-3) for each in found[:4])
    assert found[4].error == "sound 5: holds samples that are not finite numbers"
    with pytest.raises(UsageError, match="predict takes a path"):
        list(TASK.predict(lambda: predictor, [np.zeros((2, 2, 2))], FACTS, Silent())[1])


def test_recorded_curves_of_borrowed_networks_tell_what_to_expect():
    rows = fresh_networks([find_entry("lenet5_modern")], DATA, fixed_width=False)
    candidates = [candidate for sweep in rows["lenet5_modern"] for candidate in sweep]
    assert outlook(("audio",), candidates, 500, 60.0) is None
    known = outlook((TASK.name, *TASK.borrows), candidates, 500, 60.0)
    assert known.likely_error("lenet5_modern", 1e6) == pytest.approx(
        outlook(("classify",), candidates, 500, 60.0).likely_error("lenet5_modern", 1e6)
    )


@pytest.mark.parametrize(("sounds", "helped"), [(40, True), (400, False)])
def test_weights_of_photographs_are_for_few_sounds(sounds, helped):
    data = SimpleNamespace(splits={"train": range(sounds)}, classes=("a", "b"))
    assert TASK.suits_public_weights(data) is helped


def test_a_stored_split_that_was_heard_otherwise_is_refused(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for label in ("a", "b"):
        for number in range(6):
            random = np.random.default_rng(number)
            path = tmp_path / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, random.normal(0, 0.1 + 0.1 * (label == "a"), 2000), 8000)
    options = {"loudness": "equal", "silence_db": 40.0}
    data = TASK.open(
        tmp_path / "sounds", seed=0, max_broken=0, options=options, progress=lambda *_: None
    )
    stored = tmp_path / "split.json"
    data.save(stored)
    assert TASK.reopen(stored, None, data.facts()).facts() == data.facts()
    for key, value in (("loudness", "original"), ("silence_db", None), ("rate_hz", 4000)):
        with pytest.raises(
            DataError, match=f"says otherwise than the run.json beside it, of {key}"
        ):
            TASK.reopen(stored, None, data.facts() | {key: value})
    plain = TASK.open(tmp_path / "sounds", seed=0, max_broken=0, options={}, progress=None)
    plain.save(stored)
    old = {k: v for k, v in plain.facts().items() if k not in options}  # as runs once stored them
    assert TASK.reopen(stored, None, old).facts() == plain.facts()
