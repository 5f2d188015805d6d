"""Samples of data drawn with their answers, and what `data check` says of them."""

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data import (
    Preprocess,
    augment,
    augmentation,
    background_value,
    make_images,
)
from convatlas.data.boxes.synthetic import make_boxes
from convatlas.data.images.augment import EACH_ALONE
from convatlas.errors import UsageError
from convatlas.explain.boxes.draw import class_colour
from convatlas.explain.contact_sheet import CELL, GAP, LINE, Sample, contact_sheet, fitted
from convatlas.explain.masks.draw import class_colours
from convatlas.explain.pictures import to_pil
from convatlas.pipeline.data_preview import open_source, preview_samples
from convatlas.progress import Silent
from convatlas.tasks import find_task, recognise_task
from convatlas.tasks.trial_images import TrialImages


@pytest.fixture
def boxed(tmp_path):
    return make_boxes(tmp_path / "shapes", images=20, size=(56, 40))


def write_masks(root, count=10):
    root.mkdir()
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 99, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{i}.png")
        mask = np.zeros((28, 28), np.uint8)
        mask[i : i + 7, 4:18] = 1
        Image.fromarray(mask).save(root / f"{i}_mask.png")
    return root


def test_boxes_are_drawn_where_they_are_in_the_colours_of_their_classes(boxed):
    task, data = open_source(boxed)
    assert task.name == "detect"
    part = data.splits["train"]
    place = next(i for i, target in enumerate(part.targets) if len(target))
    sample = task.preview(data, "train", place)
    assert sample.picture.size == (224, 160)
    for box, label in zip(
        part.targets[place].corners.tolist(), part.targets[place].labels.tolist(), strict=True
    ):
        x1, y1, x2, y2 = (round(4 * x) for x in box)
        middles = [((x1 + x2) // 2, y1), (x1, (y1 + y2) // 2), ((x1 + x2) // 2, min(y2, 159))]
        assert {sample.picture.getpixel(at) for at in middles} == {class_colour(label)}
    told = {text.split()[1]: int(text.split()[0]) for text, _ in sample.words}
    labels = [data.classes[label] for label in part.targets[place].labels]
    assert told == {label: labels.count(label) for label in set(labels)}


def test_masks_lie_over_their_images(tmp_path):
    task, data = open_source(write_masks(tmp_path / "cells"))
    part = data.splits["train"]
    sample, image = task.preview(data, "train", 2), part.read(2)
    inside = int(part.files[2].removesuffix(".png"))
    colour = class_colours(2)[1]
    expected = ((image[:, inside, 5].float() + colour) / 2).round().int().tolist()
    assert list(sample.picture.getpixel((5, inside))) == expected
    assert list(sample.picture.getpixel((1, inside))) == image[:, inside, 1].tolist()
    assert sample.words == [("background 87.5%", None), ("foreground 12.5%", tuple(colour))]


def test_a_sheet_has_every_sample_once_in_rows_with_small_ones_enlarged(tmp_path):
    folder = make_images(tmp_path / "photos", classes=2, per_class=12, size=28)
    task, data = open_source(folder)
    sheet = preview_samples(task, data, "train", count=6, seed=3)
    assert sheet.size == (GAP + 4 * (CELL + GAP), GAP + 2 * (CELL + 2 * LINE + GAP))
    assert np.array_equal(sheet, preview_samples(task, data, "train", count=6, seed=3))
    assert not np.array_equal(sheet, preview_samples(task, data, "train", count=6, seed=4))
    # Exactly one of the images stands in the first place, eight times as large.
    first = np.asarray(sheet)[GAP + 4 : GAP + CELL : 8, GAP + 4 : GAP + CELL : 8]
    part = data.splits["train"]
    same = [np.array_equal(part.read(i).permute(1, 2, 0), first) for i in range(len(part))]
    assert sum(same) == 1
    assert preview_samples(task, data, "val", count=400).size[0] <= sheet.size[0]
    for bad in ({"split": "other"}, {"count": 0}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            preview_samples(task, data, **bad)


def test_pictures_fit_their_cells_and_names_are_cut():
    assert fitted(Image.new("L", (500, 1000)), 100).size == (50, 100)
    assert fitted(Image.new("L", (30, 20)), 100).size == (90, 60)
    words = [("a word far too long for the width of a cell", (1, 2, 3))] * 9
    sheet = contact_sheet([("/a" * 200, Sample(Image.new("L", (10, 10)), words))])
    assert sheet.width == CELL + 2 * GAP
    assert np.all(np.asarray(sheet)[:, -GAP:] == 255)


def test_a_task_without_pictures_says_so(boxed):
    class Plain(type(find_task("detect"))):
        def preview(self, data, split, place):
            return None

    _, data = open_source(boxed)
    with pytest.raises(UsageError, match="the task detect draws no pictures"):
        preview_samples(Plain(), data)


def test_images_beside_a_list_of_their_boxes_are_those_of_detection(tmp_path):
    for number in range(6):
        Image.new("RGB", (20, 20)).save(tmp_path / f"{number}.png")
    boxes = [f"{n}.png,cat,1,1,9,9" for n in range(6)]
    (tmp_path / "boxes.csv").write_text("\n".join(["file,class,xmin,ymin,xmax,ymax", *boxes]))
    for source in (tmp_path, tmp_path / "boxes.csv"):
        assert recognise_task(source).name == "detect"
    (tmp_path / "boxes.csv").unlink()
    with pytest.raises(UsageError, match="suits classify and generate; say which with --task"):
        recognise_task(tmp_path)


def test_augmented_samples_are_what_training_batches_hold(tmp_path):
    task, data = open_source(make_images(tmp_path / "photos", classes=2, per_class=12, size=64))
    places, size = [0, 3, 7, 8], 32
    drawn = task.augmented_previews(data, "train", places, size, seed=1)
    again = task.augmented_previews(data, "train", places, size, seed=1)
    other = task.augmented_previews(data, "train", places, size, seed=2)
    assert [s.words for s in drawn] == [task.preview(data, "train", p).words for p in places]
    assert pixels_of(drawn) == pixels_of(again) != pixels_of(other)
    # The batch that the training loop would get with the same random numbers and background.
    trial = TrialImages(data, "auto", Silent())
    preprocess = Preprocess(3, size, [0.5] * 3, [0.5] * 3)
    kept = trial.train(preprocess).images[places]
    transform = augmentation(trial.level, 3, size, fill=background_value(kept))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        together = {"together": 1} if trial.level in EACH_ALONE else {}
        expected = augment(kept, transform, **together)
    assert pixels_of(drawn) == [to_pil(image).tobytes() for image in expected]


def pixels_of(samples):
    return [sample.picture.tobytes() for sample in samples]


def test_tasks_without_augmented_samples_say_so(boxed):
    task, data = open_source(boxed)
    with pytest.raises(UsageError, match="the task detect draws no augmented samples"):
        preview_samples(task, data, augmented=64)
    with pytest.raises(UsageError, match=r"--augmented must be from 1 to 1024 px, got 0"):
        preview_samples(task, data, augmented=0)
