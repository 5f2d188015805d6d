"""Whatever happened to `run.json`, a run opens or says in one sentence what is wrong with it."""

import copy
import json
import random
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from convatlas.errors import ConvatlasError, DataError
from convatlas.pipeline.config import RunConfig
from convatlas.pipeline.run import open_run
from convatlas.tasks.classify import TASK

VALUES = [None, True, -1, 0, 2, 99, 1e9, 1e400, "", "x", [], [None], {}, {"a": 1}, [[[[]]]]]


@pytest.fixture
def folder(tmp_path, config):
    config.options = {"width": 0.5, "num_classes": 3, "in_channels": 3}
    config.save(tmp_path)
    return tmp_path


def stored(folder):
    return json.loads((folder / "run.json").read_text())


def refused(folder, content):
    """The message of a run with this content; it must be one line that names the file."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "run.json").write_text(text)
    with pytest.raises(DataError) as raised:
        RunConfig.load(folder)
    message = str(raised.value)
    assert str(folder / "run.json") in message
    assert "\n" not in message
    return message


def test_an_undamaged_run_opens(folder):
    assert RunConfig.load(folder).model == "small_net"


@pytest.mark.parametrize(
    ("place", "changes", "says"),
    [
        ("facts", {"channels": 0}, "channels"),
        ("facts", {"channels": 2}, "mean and std must have 2 values"),
        ("facts", {"classes": ["a", "b"]}, "num_classes is 3, not 2"),
        ("facts", {"classes": ["a", "a", "b"]}, "classes: one is listed twice"),
        ("facts", {"height": 0}, "height"),
        ("settings", {"size": 1_000_000_000}, "size"),
        ("settings", {"size": 0}, "size"),
        ("settings", {"mean": [0.5]}, "mean and std must have 3 values"),
        ("settings", {"std": [0.2, 0.2, 0]}, "std"),
        ("settings", {"std": [0.2, 0.2, float("nan")]}, "std"),
        ("settings", {"std": [0.2, 0.2, float("inf")]}, "std"),
        ("settings", {"crop": -1}, "crop"),
        ("settings", {"other": 1}, "other"),
        (None, {"version": 99}, "version"),
        (None, {"version": "99.0"}, "newer than this"),
        (None, {"task": "guess"}, "task: no task 'guess'"),
        (None, {"threads": 0}, "threads"),
        (None, {"figures": {"accuracy": 1.5}}, "accuracy"),
        (None, {"metric": {"key": "x"}}, "metric"),
        (None, {"latency_s": None}, "latency_s"),
        (None, {"leaderboard": [{"model": "x"}]}, "leaderboard"),
        (None, {"options": None}, "options"),
    ],
)
def test_values_that_no_run_has_are_named(folder, place, changes, says):
    whole = stored(folder)
    (whole if place is None else whole[place]).update(changes)
    assert says in refused(folder, whole)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"model": "\udcff"}'])
def test_what_is_no_run_at_all_is_refused(folder, text):
    (folder / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"run\.json"):
        RunConfig.load(folder)


def test_every_key_that_is_needed_is_missed_by_name(folder):
    whole = stored(folder)
    needed = [name for name, field in RunConfig.model_fields.items() if field.is_required()]
    for name in needed:
        assert name in refused(folder, {k: v for k, v in whole.items() if k != name})


def mutated(whole, draw):
    """The content with one to three values replaced, removed or added somewhere."""
    content = copy.deepcopy(whole)
    for _ in range(draw.randint(1, 3)):
        place = content
        while isinstance(place, dict | list) and place:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if draw.random() < 0.5 or not isinstance(place[key], dict | list):
                break
            place = place[key]
        if isinstance(place, dict | list) and place:
            if draw.random() < 0.3:
                del place[key]
            else:
                place[key] = draw.choice(VALUES)
    return content


def test_five_hundred_random_mutations_open_or_are_refused_in_one_line(folder):
    whole, draw = stored(folder), random.Random(5)
    for _ in range(500):
        (folder / "run.json").write_text(json.dumps(mutated(whole, draw)))
        message = ""
        try:
            config = RunConfig.load(folder)
            TASK.predictor(nn.Identity(), config.settings, config.facts)  # what opens can be built
        except ConvatlasError as error:
            message = str(error)
        assert "\n" not in message


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(run, tmp_path, value):
    copied = shutil.copytree(run.path, tmp_path / "run")
    path = copied / "weights.safetensors"
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] = value
    save_file(tensors, path)
    files = [f"{run.config.source}/{open_run(run.path).data().splits['test'].files[0]}"]
    for use in (lambda r: r.predict(files), lambda r: r.evaluate(), lambda r: r.export()):
        with pytest.raises(DataError, match=rf"{name} contains values that are not finite numbers"):
            use(open_run(copied))


@pytest.mark.slow
def test_an_answer_that_is_no_number_is_an_error_and_no_percentage(run, monkeypatch):
    opened = open_run(run.path)
    classes = len(opened.config.facts["classes"])

    def answer(self, images):
        return torch.full((len(images), classes), torch.nan)

    monkeypatch.setattr(type(opened.predictor()), "predict", answer)
    file = opened.data().splits["test"].files[0]
    (prediction,) = opened.predict([f"{run.config.source}/{file}"])
    assert prediction.label is None
    assert "not a finite number" in prediction.error
    with pytest.raises(DataError, match="not a finite number"):
        opened.evaluate()
