import json
import random

import pytest

from convatlas.data import load_split, open_images
from convatlas.data.images.stored_split import read_stored
from convatlas.errors import DataError

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "split.json"
    open_images("digits", seed=1).save(path)
    found = json.loads(path.read_text())
    for part in found["splits"].values():
        for key in part:
            part[key] = part[key][:5]
    return found


def changed(stored, place, value):
    again = json.loads(json.dumps(stored))
    *way, last = place.split(".")
    inner = again
    for key in way:
        inner = inner[key]
    if value is KeyError:
        del inner[last]
    else:
        inner[last] = value
    return again


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("format", 99, "must have format 1, got 99"),
        ("format", None, "format"),
        ("classes", KeyError, "classes"),
        ("classes", ["a", "a"], "differ"),
        ("channels", 0, "channels must lie in 1..512, got 0"),
        ("channels", None, "channels"),
        ("height", 1_000_000_000, "height"),
        ("height", float("inf"), "height"),
        ("seed", "1", "seed"),
        ("scan", {}, "scan"),
        ("scan", None, "scan"),
        ("scan.total", "many", "total"),
        ("splits", [], "splits"),
        ("splits.test", KeyError, "must contain test"),
        ("splits.test.labels", [-1, 0, 0, 0, 0], "label -1 of 10"),
        ("splits.test.labels", [10, 0, 0, 0, 0], "label 10 of 10"),
        ("splits.test.labels", [True, 0, 0, 0, 0], "labels"),
        ("splits.test.labels", [0], "as many labels"),
        ("splits.test.files", ["digits/99999"] * 5, "digits/99999"),
    ],
)
def test_a_damaged_split_is_named_in_one_sentence(stored, tmp_path, place, value, said):
    path = tmp_path / "split.json"
    path.write_text(json.dumps(changed(stored, place, value)))
    with pytest.raises(DataError) as raised:
        load_split(path)
    assert said in str(raised.value)
    assert "split.json" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_deep_nesting_is_refused(tmp_path):
    (tmp_path / "split.json").write_text(DEEP)
    with pytest.raises(DataError, match="nested"):
        load_split(tmp_path / "split.json")


@pytest.mark.parametrize("name", ["../secret.png", "a/../../secret.png", "/etc/secret.png", "a\0b"])
def test_a_folder_cannot_name_a_file_outside_itself(stored, tmp_path, name):
    again = changed(changed(stored, "source", "/data/photos"), "splits.test.files", [name] * 5)
    (tmp_path / "split.json").write_text(json.dumps(again))
    with pytest.raises(DataError, match="is not in /data/photos"):
        read_stored(tmp_path / "split.json")


def test_a_csv_file_may_name_files_beside_its_folder(stored, tmp_path):
    names = ["../images/x.jpg"] * 5
    again = changed(stored, "source", "/data/lists/all.csv")
    for part in again["splits"]:
        again = changed(again, f"splits.{part}.files", names)
    (tmp_path / "split.json").write_text(json.dumps(again))
    assert read_stored(tmp_path / "split.json")["splits"]["test"]["files"] == names


def test_what_a_newer_version_adds_is_left_alone(stored, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps(stored | {"new": 1}))
    assert len(load_split(tmp_path / "split.json").splits["test"]) == 5


def test_any_damage_ends_in_an_open_split_or_one_sentence(stored, tmp_path):
    path, pick = tmp_path / "split.json", random.Random(0)
    values = [None, -1, 2, 1e9, float("inf"), float("nan"), "", "..", [], {}, True, [[]], KeyError]
    for _ in range(300):
        place, inner = [], stored
        while isinstance(inner, dict) and inner and (not place or pick.random() < 0.7):
            place.append(pick.choice(sorted(inner)))
            inner = inner[place[-1]]
        path.write_text(json.dumps(changed(stored, ".".join(place), pick.choice(values))))
        assert "\n" not in answer(path)


def answer(path):
    """What is said of a stored split: nothing where it opens."""
    try:
        load_split(path)
    except DataError as error:
        return str(error)
    return ""
