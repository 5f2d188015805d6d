"""Images with one target each: what is wrong is named, splits are cut, stored and found again."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data.boxes.boxes import BOXES
from convatlas.data.boxes.open import open_boxes, takes_boxes
from convatlas.data.boxes.synthetic import make_boxes
from convatlas.data.images.stored_annotated import learnt_from, load_annotated
from convatlas.errors import DataError

HEADINGS = "file,class,xmin,ymin,xmax,ymax"


@pytest.fixture
def shapes(tmp_path):
    return make_boxes(tmp_path / "shapes", images=30, size=(48, 40))


def with_rows(folder, *rows):
    """The made-up set with lines of our own behind its table's."""
    with (folder / "boxes.csv").open("a") as file:
        file.writelines(row + "\n" for row in rows)
    return folder


def lines_of(folder):
    with (folder / "boxes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_boxes_come_out_as_the_table_has_them(shapes):
    data = open_boxes(shapes, max_broken=0)
    assert {name: len(part) for name, part in data.splits.items()} == {
        "train": 20,
        "val": 5,
        "test": 5,
    }
    rows = [row for row in lines_of(shapes) if row["class"]]
    for part in data.splits.values():
        for place, (file, target) in enumerate(zip(part.files, part.targets, strict=True)):
            own = [row for row in rows if f"images/{row['file']}" == file]
            corners = [[float(row[k]) for k in HEADINGS.split(",")[2:]] for row in own]
            assert target.corners.tolist() == corners
            assert [data.classes[i] for i in target.labels] == [row["class"] for row in own]
            assert part.read(place).shape == (3, 40, 48)
    counts = Counter(row["class"] for row in rows)
    assert Counter() + sum((Counter(c) for c in data.scan.per_class.values()), Counter()) == counts
    assert data.facts()["classes"] == ["circle", "square", "triangle"]
    assert "3 of 30 images have no box" in " ".join(data.scan.notes)


def test_rare_classes_get_into_every_split(tmp_path):
    folder = make_boxes(tmp_path, images=40, classes=1)
    with_rows(folder, *(f"{i:04d}.png,rare,3,3,9,9" for i in (1, 12, 23)))
    counts = open_boxes(folder).scan.per_class
    assert [counts[split]["rare"] for split in ("train", "val", "test")] == [1, 1, 1]


def test_what_is_wrong_with_a_box_is_named_counted_and_mended_or_left_out(shapes):
    with_rows(
        shapes,
        "0000.png,circle,-9,4,20,20",  # cut off
        "0001.png,circle,20,4,8,20",  # corners in the wrong order
        "0002.png,circle,8,8,8,20",  # no area
        "0003.png,circle,60,4,70,20",  # outside
        "0004.png,circle,1,2,x,4",
        "0005.png,,1,2,3,4",
        "0006.png,circle,nan,2,3,4",
    )
    first = len(lines_of(shapes)) - 5  # the line of the first of these
    data = open_boxes(shapes, max_broken=0.2)
    told = data.scan.warnings()
    for words, file in (
        (f"left out 1 box (it has no area): images/0002.png line {first + 2}", "0002"),
        (f"left out 1 box (it lies outside the image): images/0003.png line {first + 3}", "0003"),
        ("left out 1 box (its corners are no numbers: 1 2 x 4): images/0004.png line", "0004"),
        ("left out 1 box (it has no class): images/0005.png line", "0005"),
        ("left out 1 box (its corners are no numbers): images/0006.png line", "0006"),
        ("cut off at the image's border, 1 box: images/0000.png line", "0000"),
        ("corners in the wrong order, put right, 1 box: images/0001.png line", "0001"),
    ):
        assert any(words in line for line in told), (words, told)
        assert any(f"images/{file}.png" in part.files for part in data.splits.values())
    found = {
        file: target.corners.tolist()
        for part in data.splits.values()
        for file, target in zip(part.files, part.targets, strict=True)
    }
    assert found["images/0000.png"][-1] == [0, 4, 20, 20]
    assert found["images/0001.png"][-1] == [8, 4, 20, 20]
    with pytest.raises(DataError, match=r"at most 5% of the boxes may be broken, got 5 of \d+"):
        open_boxes(shapes)


def test_a_missing_or_broken_image_is_named_and_counts_as_a_broken_file(shapes):
    with_rows(shapes, "gone.png,circle,1,2,3,4")
    (shapes / "images" / "0004.png").write_bytes(b"nothing")
    data = open_boxes(shapes, max_broken=0.1)
    broken = dict(data.scan.broken)
    assert "no such file, line" in broken["gone.png"]
    assert "images/0004.png" in broken
    with pytest.raises(DataError, match=r"5% of the files may be broken, got 2 of 31.*gone\.png"):
        open_boxes(shapes)


def test_an_image_of_another_size_than_its_boxes_are_for_is_refused_by_name(tmp_path):
    rows = ["file,width,height,class,xmin,ymin,xmax,ymax"]
    (tmp_path / "images").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}.png")
        rows.append(f"{i}.png,{30 if i else 60},20,cell,1,2,9,9")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"0\.png \(its boxes are for an image of 60 x 20 pixels"):
        open_boxes(tmp_path)
    assert len(open_boxes(tmp_path, max_broken=0.2).scan.broken) == 1


def test_images_that_the_table_does_not_name_are_listed(shapes):
    Image.new("RGB", (9, 9)).save(shapes / "images" / "extra.png")
    assert ("images/extra.png", "not named in the table") in open_boxes(shapes).scan.ignored


def test_given_splits_are_kept_and_a_file_in_two_is_refused(tmp_path):
    rows = ["file,split,class,xmin,ymin,xmax,ymax"]
    names = ("train", "valid", "test")
    for i in range(9):
        pixels = np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{names[i % 3]},cell,1,2,9,9")
    table = tmp_path / "boxes.csv"
    table.write_text("\n".join(rows))
    data = open_boxes(table)
    assert data.splits["val"].files == ["1.png", "4.png", "7.png"]
    judged = open_boxes(table, classes=["cell", "dog"])
    assert list(judged.splits) == ["test"]
    assert judged.splits["test"].files == ["2.png", "5.png", "8.png"]
    assert "no boxes of dog" in " ".join(judged.scan.notes)
    table.write_text("\n".join([*rows, "1.png,train,cell,1,2,9,9"]))
    with pytest.raises(DataError, match=r"1\.png is in two splits"):
        open_boxes(table)


def test_judging_maps_classes_by_name_and_refuses_unknown_ones(shapes):
    data = open_boxes(shapes, classes=["triangle", "square", "circle"])
    rows = lines_of(shapes)
    part = data.splits["test"]
    assert len(part) == 30
    for file, target in zip(part.files, part.targets, strict=True):
        own = [row["class"] for row in rows if f"images/{row['file']}" == file and row["class"]]
        assert [data.classes[i] for i in target.labels] == own
    with pytest.raises(DataError, match="classes of the run, got extra triangle"):
        open_boxes(shapes, classes=["circle", "square"])


def test_a_stored_split_opens_the_same_images_with_the_same_boxes(shapes, tmp_path):
    data = open_boxes(shapes, seed=3)
    data.save(tmp_path / "split.json")
    again = load_annotated(tmp_path / "split.json", BOXES)
    assert again.facts() == data.facts()
    assert again.scan == data.scan
    for name, part in data.splits.items():
        assert again.splits[name].files == part.files
        for a, b in zip(again.splits[name].targets, part.targets, strict=True):
            assert torch.equal(a.corners, b.corners)
            assert torch.equal(a.labels, b.labels)
    seen = {data.digests[f] for name in ("train", "val") for f in data.splits[name].files}
    assert learnt_from(tmp_path / "split.json") == seen
    shapes.rename(tmp_path / "moved")
    with pytest.raises(DataError, match="must still contain the files"):
        load_annotated(tmp_path / "split.json", BOXES)
    moved = load_annotated(tmp_path / "split.json", BOXES, tmp_path / "moved")
    assert moved.splits["test"].read(0).shape == (3, 40, 48)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(format=9), "must have format 1"),
        (lambda s: s.pop("classes"), "classes"),
        (
            lambda s: s["splits"]["test"]["targets"][0]["boxes"].append([1, 2, 3, 4, 7]),
            "the label 7 of 3",
        ),
        (
            lambda s: s["splits"]["test"]["targets"][0]["boxes"].append([5, 2, 3, 4, 0]),
            "x1 y1 x2 y2 label",
        ),
        (lambda s: s["splits"]["val"]["targets"].pop(), "as many targets"),
        (lambda s: s["splits"].pop("test"), "must contain test"),
        (lambda s: s["splits"]["val"]["files"].__setitem__(0, "a\0b"), "names a file"),
    ],
)
def test_a_damaged_stored_split_is_refused_in_one_sentence(shapes, tmp_path, change, says):
    path = tmp_path / "split.json"
    open_boxes(shapes).save(path)
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(DataError, match=says):
        load_annotated(path, BOXES)


def test_only_tables_with_corners_are_taken_for_boxes(shapes, tmp_path):
    assert takes_boxes(shapes)
    assert takes_boxes(shapes / "boxes.csv")
    assert not takes_boxes(shapes / "images")
    table = tmp_path / "classes.csv"
    table.write_text("file,label\na.png,cat\n")
    assert not takes_boxes(table)
    assert not takes_boxes("digits")


def test_the_cells_of_bccd_are_those_that_its_readme_counts(real_data):
    data = open_boxes(real_data / "bccd", max_broken=0)
    assert {name: len(part) for name, part in data.splits.items()} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    total = sum((Counter(c) for c in data.scan.per_class.values()), Counter())
    assert total == {"RBC": 4153, "WBC": 372, "Platelets": 361}
    assert data.scan.warnings() == []
