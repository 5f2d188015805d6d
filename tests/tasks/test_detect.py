"""The task of detection: its options, which networks take part, and what they are given."""

import html
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.cli.main import main
from convatlas.errors import UsageError
from convatlas.models.detect.detector import OneStage
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import find_entry
from convatlas.progress import Silent
from convatlas.search.priority import estimate
from convatlas.search.space import distinct_architectures
from convatlas.tasks import find_task, recognise_task
from convatlas.tasks.box_networks import box_scales, box_sizes
from convatlas.train.recipe import Recipe

NAMES = [entry.name for entry in distinct_architectures("detect")]


@pytest.fixture(scope="module")
def data(tmp_path_factory, shapes):
    folder = shapes.make_shapes(tmp_path_factory.mktemp("boxes") / "shapes", 12)
    assert recognise_task(folder).name == "detect"
    task = find_task("detect")
    return task.open(folder, seed=0, max_broken=0, options={}, progress=lambda *_: None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augmentation": "wild"}, "augmentation must be one of none, flip, photo, cells, ssd"),
        ({"metric": "accuracy"}, "metric must be one of map_50_95, map_50, got 'accuracy'"),
        ({"augmentaton": "none"}, "nearest: augmentation"),
    ],
)
def test_options_are_checked_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        find_task("detect").check_options(options)


def test_sizes_and_scales_are_those_of_the_data(data):
    assert box_sizes(data) == [64]
    low, high = box_scales(data)
    train = torch.cat([each.corners for each in data.splits["train"].targets])
    shares = ((train[:, 2] - train[:, 0]) * (train[:, 3] - train[:, 1]) / (56 * 64)).sqrt()
    assert shares.min() - 1e-3 <= low < high
    assert high == pytest.approx(2 * low, abs=2e-3)  # squares of much the same size


def test_a_missing_library_is_named_before_anything_is_trained(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(UsageError, match=r"faster-coco-eval: pip install 'convatlas\[boxes\]'"):
        find_task("detect").trial_data(data, Recipe(), {}, Silent())


@pytest.mark.parametrize("name", NAMES)
def test_each_network_has_a_cost_to_guess_and_answers_at_each_anchor(data, name):
    task = find_task("detect")
    (sweep,) = task.fresh([find_entry(name)], data, fixed_width=False)[name]
    for candidate in (sweep[0], sweep[-1]):
        guess = estimate(candidate)
        assert guess is not None, name
        assert guess.macs > 0
    with on_shapes():
        network = sweep[-1].build().eval()
        inputs = sweep[-1].inputs(network)
        answers, boxes = network(*inputs), network.detect(*inputs)[0]
    if isinstance(network, OneStage):
        logits, offsets = answers
        places = len(network.anchors(64, 64))
        assert logits.shape == (1, places, network.outputs)
        assert offsets.shape == (1, places, 4)
    assert boxes.shape == (1, network.max_detections, 4)
    assert (network.num_classes, network.in_channels) == (2, 1)


@pytest.mark.parametrize(
    "name", ["ssdlite_mobilenet_v3_small", "spinenet49xs_mobile_retinanet", "thundernet_snet49"]
)
def test_trial_data_train_and_judge_a_network(data, name):
    task = find_task("detect")
    trial = task.trial_data(data, task.recipe, {"metric": "map_50"}, Silent())
    (sweep,) = task.fresh([find_entry(name)], data, fixed_width=False)[name]
    candidate = sweep[-1]
    torch.manual_seed(0)
    network = candidate.build().train()
    training = trial.training(candidate, task.recipe, judged=None)
    batches, validation = training.loaders(4, 0)
    loss = training.loss(network, next(iter(batches)))
    loss.backward()
    assert all(
        part.grad is not None and part.grad.isfinite().all() for part in network.parameters()
    )
    figures = training.validate(network, validation, lambda values: values)
    assert set(figures) - {"val_best_score"} == {"val_loss", "val_map_50", "val_map_50_95"}
    assert training.metric.key == "map_50"


def test_boxes_are_shown_from_the_best_score_of_the_validation_unless_one_is_asked_for(data):
    task, facts = find_task("detect"), data.facts()
    chosen = task.facts_for_answers(facts, {"map_50": 0.5, "best_score": 0.42})
    assert task.facts_for_answers(facts, {"map_50": 0.5}) == facts  # of an older run
    asked = task.with_options(chosen, {"score": 0.1, "max_pixels": None})
    for known, score in ((facts, 0.3), (chosen, 0.42), (asked, 0.1)):
        assert task.answer_notes(known) == [
            f"shown are boxes that score {score} or more; --score N shows others"
        ]
    with pytest.raises(UsageError, match="--score must be from 0 to below 1, got"):
        task.with_options(chosen, {"score": 1.5})


def run_verb(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words)])
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


@pytest.mark.slow
def test_boxes_are_drawn_and_written_as_coco_has_results(detect, capsys, tmp_path):
    out = tmp_path / "boxes.json"
    run_verb(capsys, "predict", detect.run.path, detect.new, "--save", tmp_path, "--out", out)
    (answer,) = detect.run.predict([detect.new])
    rows = json.loads(out.read_text("utf-8"))
    assert len(rows) == len(answer.boxes) > 1
    first, best = rows[0], answer.boxes[0]
    x, y, width, height = first["bbox"]
    assert [x, y, x + width, y + height] == pytest.approx(best["box"], abs=0.02)
    assert detect.run.facts["classes"][first["category_id"] - 1] == best["class"]
    assert (first["image_id"], first["file_name"]) == (1, str(detect.new))
    with Image.open(tmp_path / "100-boxes.png") as picture, Image.open(detect.new) as image:
        assert picture.size == image.size
        drawn, was = np.asarray(picture), np.asarray(image.convert("RGB"))
    assert (was == was[..., :1]).all()
    assert not (drawn == drawn[..., :1]).all()  # colours on grey


@pytest.mark.slow
def test_the_code_of_the_report_finds_the_same_boxes(detect, capsys):
    code = detect.task.runtime_code(detect.run.files["onnx"], detect.run.config)
    assert code in html.unescape((detect.run.path / "report.html").read_text(encoding="utf-8"))
    exec(code.replace('"photo.png"', repr(str(detect.new))), {})
    lines = capsys.readouterr().out.splitlines()
    (answer,) = detect.run.predict([detect.new])
    shown = detect.run.config.validation["best_score"]
    sure = [box for box in answer.boxes if box["score"] > shown]
    assert answer.sure == sure
    assert len(lines) == len(sure) > 0
    assert [line.split()[0] for line in lines] == [box["class"] for box in sure]
    assert float(lines[0].split()[1]) == pytest.approx(sure[0]["score"], abs=2e-3)
