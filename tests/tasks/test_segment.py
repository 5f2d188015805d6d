"""The task of segmentation: its options, its files, and what the report and the code say."""

import html
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.cli.main import main
from convatlas.cli.options import task_options
from convatlas.errors import DataError, UsageError
from convatlas.models import find_entry
from convatlas.pretrained.checkpoint import starting_weights
from convatlas.progress import Silent
from convatlas.tasks import find_task, recognise_task
from convatlas.tasks.mask_options import check_mask_options, class_weights, ignored_values
from convatlas.tasks.trial_masks import TrialMasks


def run_verb(capsys, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--json"])
    out = capsys.readouterr()
    return ended.value.code, (json.loads(out.out) if out.out else None), out.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"augmentation": "wild"}, "augmentation must be one of auto, none, photo, cells"),
        ({"reduce": 1.5}, "reduce must be a whole number from 1 to 16"),
        ({"crop": 4}, "crop must be a whole number from 16"),
        ({"dice": 2}, "dice must be a number from 0 to 1"),
        ({"ignored": "void"}, "ignored must be auto, none or values"),
        ({"ignored": True}, "ignored must be auto, none or values"),
        ({"ignored": 1.5}, "ignored must be auto, none or values"),
        ({"ignored": float("inf")}, "ignored must be auto, none or values"),
        ({"class_weights": "rare"}, "class_weights must be none, balanced"),
        ({"class_weights": [1, -1]}, "class_weights must be none, balanced"),
        ({"ignore": 3}, "'ignore' is no option here; nearest: ignored"),
    ],
)
def test_options_are_checked_before_any_work(options, says):
    with pytest.raises(UsageError, match=says):
        find_task("segment").check_options(options)


def test_options_say_what_they_mean():
    assert ignored_values({}) is None
    assert ignored_values({"ignored": "none"}) == []
    assert ignored_values({"ignored": (11, 12)}) == [11, 12]
    assert ignored_values(task_options(["ignored=11"])) == [11]  # as the command line reads it
    assert ignored_values(task_options(["ignored=0,255"])) == [0, 255]
    check_mask_options(task_options(["class_weights=1,2.5", "crop=96"]))
    names = ("a", "b")
    assert class_weights({}, [1, 3], names) is None
    weights = class_weights({"class_weights": "balanced"}, [100, 300], names)
    assert weights.tolist() == pytest.approx([2.0, 2 / 3])
    assert class_weights({"class_weights": "balanced"}, [1, 999], names)[0] == 10
    with pytest.raises(UsageError, match="a number for each of the 2 classes"):
        class_weights({"class_weights": [1, 2, 3]}, [1, 3], names)


def discs(folder, count):
    """Light squares on dark ground, 40 x 48 pixels."""
    for number in range(count):
        mask = np.zeros((40, 48), dtype=np.uint8)
        mask[5 : 20 + number, 8:30] = 1
        for name, pixels in (("images", 40 + 90 * mask), ("masks", mask)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def opened(folder, **options):
    task = find_task("segment")
    data = task.open(folder, seed=0, max_broken=0, options=options, progress=lambda *_: None)
    return task, data


def test_networks_get_windows_of_lengths_that_they_take(tmp_path):
    task, data = opened(discs(tmp_path, 6))
    assert recognise_task(tmp_path) is task
    rows = task.fresh([find_entry("unet"), find_entry("unet_small")], data, fixed_width=True)
    assert rows["unet"][0][0].example == {
        "size": 236
    }  # 40 answered, 92 at each side, of 16 plus 12
    assert rows["unet_small"][0][0].example == {"size": 48}
    with pytest.raises(UsageError, match="unet3d: reads volumes"):
        task.fresh([find_entry("unet3d")], data, fixed_width=True)
    assert task.fresh([find_entry("unet3d")], data, fixed_width=False) == {}


@pytest.mark.parametrize(("name", "seen", "answered"), [("unet", 236, 52), ("unet_small", 48, 48)])
def test_trial_data_fit_the_network(tmp_path, name, seen, answered):
    task, data = opened(discs(tmp_path, 8))
    recipe = task.recipe
    trial = task.trial_data(data, recipe, {"border_weight": 5}, Silent())
    assert isinstance(trial, TrialMasks)
    assert trial.training_options() == {"augmentation": "cells", "dice": 0.5, "border_weight": 5.0}
    candidate = task.fresh([find_entry(name)], data, fixed_width=True)[name][0][0]
    training = trial.training(candidate, recipe, judged=1)
    batches, validation = training.loaders(2, 0)
    torch.manual_seed(0)
    images, masks, weights = next(iter(batches))
    assert images.shape == (2, 1, seen, seen)
    assert masks.shape == weights.shape == (2, answered, answered)
    counted = sum(int((truth < 2).sum()) for _, truth in validation)
    assert counted == 40 * 48  # of the one image that is judged
    pixels = torch.cat(
        [image.flatten() for image, _ in (trial.kept("train").read(i) for i in range(4))]
    )
    mean, std = trial.statistics()
    assert mean[0] == pytest.approx(float(pixels.float().mean()) / 255, abs=0.02)
    assert std[0] > 0.1


def test_public_weights_bring_their_own_mean_and_deviation_to_images_with_colours(tmp_path):
    task, grey = opened(discs(tmp_path / "grey", 8))
    assert not task.suits_public_weights(grey)
    for path in discs(tmp_path / "colours", 8).glob("images/*.png"):
        Image.open(path).convert("RGB").save(path)
    task, data = opened(tmp_path / "colours")
    assert task.suits_public_weights(data)
    (public,) = starting_weights("lraspp_mobilenet_v3_small")
    rows = task.pretrained([public], data)
    ((candidate,),) = rows["lraspp_mobilenet_v3_small"]
    assert candidate.checkpoint == public
    assert candidate.example == {"size": 40}
    trial = task.trial_data(data, task.recipe, {}, Silent())
    assert trial.settings(candidate)["mean"] == [0.485, 0.456, 0.406]
    fresh = replace(candidate, checkpoint=None)
    assert trial.settings(fresh)["mean"] == trial.statistics()[0]
    images, _ = next(iter(trial.training(candidate, task.recipe, judged=None).loaders(2, 0)[0]))
    darkest = trial.training(candidate, task.recipe, None)._normalise(0 * images)
    assert darkest[0, :, 0, 0].tolist() == pytest.approx(
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    )


@pytest.mark.slow
def test_masks_and_overlays_are_written_and_nothing_is_replaced(segment, capsys, tmp_path):
    out = tmp_path / "masks"
    code, answer, _ = run_verb(capsys, "predict", segment.run.path, segment.new, "--save", out)
    assert code in (0, None)
    assert [Path(p).name for p in answer["files"]["saved"]] == ["100-mask.png", "100-overlay.png"]
    (prediction,) = answer["predictions"]
    assert "mask" not in prediction
    mask = np.asarray(Image.open(out / "100-mask.png"))
    assert prediction["shares"]["foreground"] == pytest.approx((mask == 1).mean(), abs=1e-5)
    truth = np.asarray(Image.open(segment.other / "masks" / "100.png")) > 0
    assert ((mask == 1) == truth).mean() > 0.9
    again = ("predict", segment.run.path, segment.new, "--save", out)
    assert "is there already" in run_verb(capsys, *again)[2]
    assert run_verb(capsys, *again, "--force")[0] in (0, None)


@pytest.mark.slow
def test_a_large_image_is_answered_as_its_windows_are(segment):
    rows = [np.asarray(Image.open(p)) for p in sorted((segment.other / "images").glob("*.png"))]
    large = np.concatenate([np.concatenate(rows[:4], 1)] * 18, 0)  # 720 x 192
    (answer,) = segment.run.predict(large)
    assert answer.mask.shape == large.shape
    (alone,) = segment.run.predict(large[:320])
    same = answer.mask[:280] == alone.mask[:280]
    assert same.float().mean() > 0.995


@pytest.mark.slow
def test_the_code_of_the_report_writes_the_same_mask(segment, tmp_path, monkeypatch, capsys):
    code = segment.task.runtime_code(segment.run.files["onnx"], segment.run.config)
    assert code in html.unescape((segment.run.path / "report.html").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    exec(code.replace('"photo.png"', repr(str(segment.new))), {})
    shares = dict(line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines())
    (answer,) = segment.run.predict(segment.new)
    written = np.asarray(Image.open(tmp_path / "photo-mask.png"))
    assert np.array_equal(written, answer.mask.numpy())
    assert float(shares["foreground"]) == pytest.approx(answer.shares["foreground"], abs=1e-5)


@pytest.mark.slow
def test_data_of_other_classes_are_refused(segment, tmp_path):
    discs(tmp_path, 4)
    for place in (tmp_path / "masks").iterdir():
        values = np.asarray(Image.open(place)).copy()
        values[0, 0] = 7
        Image.fromarray(values).save(place)
    with pytest.raises(DataError, match="got extra"):
        segment.run.evaluate(tmp_path)
