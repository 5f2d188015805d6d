"""The verb `data`: what is in the data, what is wrong, and samples as a picture."""

import json

import numpy as np
import pytest
from PIL import Image

from convatlas.data import make_images, open_images
from convatlas.data.boxes.synthetic import make_boxes
from convatlas.tasks.classify import TASK


@pytest.fixture
def boxed(tmp_path):
    folder = make_boxes(tmp_path / "shapes", images=20, size=(56, 40))
    with (folder / "boxes.csv").open("a") as file:
        file.write("0000.png,circle,8,8,8,20\n")
    return folder


def test_check_says_what_is_there_and_what_is_wrong(convatlas, boxed):
    done = convatlas("data", "check", boxed)
    assert done.code == 0
    assert "shapes (detect): 3 classes of boxes, 56 x 40 pixels, 3 channels; 14 train" in done.out
    assert "warning: left out 1 box (it has no area): images/0000.png line" in done.out
    found = json.loads(convatlas("data", "check", boxed, "--json").out)
    assert found["task"] == "detect"
    assert found["splits"] == {"train": 14, "val": 3, "test": 3}
    assert found["facts"]["classes"] == ["circle", "square", "triangle"]
    assert found["scan"]["readable"] == 20
    assert found["files"] == {}


def test_stats_are_printed_and_given_as_json(convatlas, boxed):
    done = convatlas("data", "stats", boxed)
    assert done.code == 0
    assert "boxes by class (small: below 32 x 32 pixels" in done.out
    assert "pixel values, from 0 to 1" in done.out
    assert "warning: left out 1 box (it has no area): images/0000.png line" in done.out
    found = json.loads(convatlas("data", "stats", boxed, "--json", "--split", "val").out)
    tables = {table["title"]: table["rows"] for table in found["statistics"]}
    assert tables["sides in pixels"][0]["largest"] == 56
    assert sum(row["train"] for row in tables["classes"]) > 0
    assert convatlas("data", "stats", boxed, "--split", "dev").code == 2


def test_preview_writes_a_picture_and_replaces_none(convatlas, boxed, tmp_path):
    out = tmp_path / "seen.png"
    done = convatlas("data", "preview", boxed, "--out", out, "--count", "3")
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"picture: {out}"
    with Image.open(out) as picture:
        assert picture.width == 12 + 3 * 236
    again = convatlas("data", "preview", boxed, "--out", out)
    assert again.code == 2
    assert "is there already; --force replaces it" in again.err
    assert convatlas("data", "preview", boxed, "--out", out, "--force").code == 0
    assert convatlas("data", "preview", boxed, "--out", tmp_path / "a.jpg").code == 2


def test_a_task_and_its_options_can_be_given(convatlas, tmp_path):
    folder = make_images(tmp_path / "photos", classes=2, per_class=8, size=16)
    done = convatlas("data", "check", folder, "--task", "classify", "--set", "max_pixels=100")
    assert done.code == 3
    assert "above the limit of 100 pixels" in done.err
    assert "nothing wrong was found" in convatlas("data", "check", folder).out
    assert convatlas("data", "show", folder).code == 2


def test_five_channels_are_said_counted_and_shown_as_three(convatlas, tmp_path):
    numbers = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "bands" / name).mkdir(parents=True)
        for place in range(10):
            values = numbers.integers(0, 4096, (8, 8, 5), np.uint16)
            np.save(tmp_path / "bands" / name / f"{place}.npy", values)
    done = convatlas("data", "check", tmp_path / "bands")
    assert done.code == 0
    assert "2 classes, 8 x 8 pixels, 5 channels" in done.out
    assert "the images have 5 channels, all of which are used; pictures" in done.out
    assert "files of over 8 bits hold values of 12 bits: 0 is black and 4,095" in done.out
    stats = json.loads(convatlas("data", "stats", tmp_path / "bands", "--json").out)
    assert "channel 5" in json.dumps(stats)
    out = tmp_path / "seen.png"
    assert convatlas("data", "preview", tmp_path / "bands", "--out", out, "--count", "2").code == 0
    assert out.exists()
    data = open_images(tmp_path / "bands")
    assert [text for text, _ in TASK.preview(data, "train", 0).words] == [
        "a",
        "channels 1 to 3 of 5",
    ]
