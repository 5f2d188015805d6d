"""Boxes in COCO's, YOLO's, VOC's and Label Studio's form: the same as in a table, faults named."""

import json
import re

import pytest
from PIL import Image

from box_formats import (
    WRITERS,
    boxes_of,
    change,
    made,
    write_coco,
    write_yolo,
)
from convatlas.data.boxes.boxes import BOXES
from convatlas.data.boxes.open import open_boxes, takes_boxes
from convatlas.data.images.stored_annotated import load_annotated
from convatlas.errors import DataError


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_boxes_of_the_table(form, tmp_path):
    folder, rows = made(tmp_path / "shapes")
    table = open_boxes(folder, max_broken=0)
    place = WRITERS[form](folder, rows)
    for source in {place, folder}:
        assert takes_boxes(source)
        data = open_boxes(source, max_broken=0)
        found = boxes_of(data)
        assert found.keys() == rows.keys()
        for name, own in boxes_of(table).items():
            assert [label for label, _ in found[name]] == [label for label, _ in own]
            for (_, got), (_, expected) in zip(found[name], own, strict=True):
                assert got == pytest.approx(expected, abs=1e-4)  # of a pixel
        assert data.classes == table.classes
        assert data.scan.per_class == table.scan.per_class
        assert data.scan.warnings() == []
        assert "3 of 30 images have no box" in " ".join(data.scan.notes)


def test_a_folder_with_two_forms_is_refused_and_a_file_of_it_taken(tmp_path):
    folder, rows = made(tmp_path, images=10)
    kept = (folder / "boxes.csv").read_bytes()
    write_coco(folder, rows)
    (folder / "boxes.csv").write_bytes(kept)
    with pytest.raises(DataError, match=r"in one form, got boxes\.csv and COCO's JSON; name the"):
        open_boxes(folder)
    assert boxes_of(open_boxes(folder / "boxes.json")) == boxes_of(open_boxes(folder / "boxes.csv"))


def test_a_picture_of_another_size_than_stated_is_named(tmp_path):
    for form, write in WRITERS.items():
        if form == "yolo":
            continue  # it states none
        folder, rows = made(tmp_path / form, images=10)
        write(folder, rows)
        name = next(name for name, own in rows.items() if own)
        (path,) = folder.rglob(name)
        Image.new("RGB", (20, 40)).save(path)
        data = open_boxes(folder, max_broken=0.2)
        ((file, reason),) = data.scan.broken
        assert file.endswith(name)
        assert reason == "its boxes are for an image of 48 x 40 pixels, it has 20 x 40"


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file):
    file.write_bytes(b"")


def removed(file):
    file.unlink()


@pytest.mark.parametrize("form", WRITERS)
def test_an_image_that_cannot_be_read_is_named_with_what_marks_it(form, tmp_path):
    """By the form: what the reason or the name says beside the image's own name."""
    marks = {"coco": "image 10", "yolo": "", "voc": ".xml", "label studio": "task "}
    for fault, reason in (
        (cut, "truncated"),
        (emptied, "is empty"),
        (removed, "without|such file"),
    ):
        folder, rows = made(tmp_path / fault.__name__, images=12)
        WRITERS[form](folder, rows)
        name = next(name for name, own in rows.items() if own)
        (path,) = folder.rglob(name)
        fault(path)
        data = open_boxes(folder, max_broken=0.1)
        ((file, why),) = data.scan.broken
        assert name.removesuffix(".png") in file
        assert re.search(reason, why)
        assert marks[form] in f"{file} {why}"
        with pytest.raises(DataError, match=name.removesuffix(".png")):
            open_boxes(folder, max_broken=0)


@pytest.mark.parametrize("form", ["coco", "label studio"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00junk{", None])
def test_a_damaged_json_file_of_annotations_is_named_and_not_the_layouts_alone(
    form, content, tmp_path
):
    folder, rows = made(tmp_path, images=10)
    path = WRITERS[form](folder, rows)
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(DataError, match=rf"{path.name}: cannot be read as JSON"):
        open_boxes(folder)


# COCO


def test_coco_names_the_annotation_and_the_image_of_what_is_wrong(tmp_path):
    folder, rows = made(tmp_path)
    path = write_coco(folder, rows)
    count = sum(map(len, rows.values()))
    first = next(i for i, own in enumerate(rows.values()) if own)
    file = list(rows)[first]
    box, known = [3, 4, 8, 9], {"image_id": 100 + first, "category_id": 10}

    def edit(content):
        content["annotations"] += [
            {"id": 901, "image_id": 7777, "category_id": 10, "bbox": box},
            {"id": 902, **known, "bbox": [1, 2, 3]},
            {"id": 903, **known, "category_id": 999, "bbox": box},
            {"id": 904, **known, "bbox": [3, 4, -2, 9]},
            {"id": 905, **known, "bbox": [45, 4, 9, 9]},
            {"id": 906, **known, "bbox": [3, 4, 0, 9]},
            {"id": 907, "category_id": 10, "bbox": box},
            content["annotations"][0] | {"id": 908},
        ]
        content["images"].append({"id": 6, "file_name": "gone.png"})

    change(path, edit)
    data = open_boxes(folder, max_broken=0.2)
    told = "\n".join(data.scan.warnings())
    for words in (
        "left out 1 box (no image has the id 7777): boxes.json annotation 901",
        f"left out 1 box (its bbox must be four numbers, got [1, 2, 3]): images/{file} "
        "annotation 902",
        f"left out 1 box (no category has the id 999): images/{file} annotation 903",
        f"corners in the wrong order, put right, 1 box: images/{file} annotation 904",
        f"cut off at the image's border, 1 box: images/{file} annotation 905",
        f"left out 1 box (it has no area): images/{file} annotation 906",
        "left out 1 box (it has no image_id): boxes.json annotation 907",
        f"the same box twice, used once, 1 box: images/{file} annotation 908",
        "gone.png (no such file, image 6 of boxes.json)",
    ):
        assert words in told
    assert sum(map(len, boxes_of(data).values())) == count + 2
    with pytest.raises(DataError, match=f"5% of the boxes may be broken, got 5 of {count + 7}"):
        open_boxes(folder)


def test_coco_files_are_splits_by_their_names_and_those_of_instances_come_first(tmp_path):
    folder, rows = made(tmp_path, images=24)
    content = json.loads(write_coco(folder, rows).read_text())
    (folder / "boxes.json").unlink()
    (folder / "annotations").mkdir()
    for split, part in (("train2017", slice(0, 16)), ("val2017", slice(16, 24))):
        images = content["images"][part]
        (folder / split).mkdir()
        for image in images:
            (folder / "images" / image["file_name"]).rename(folder / split / image["file_name"])
        ids = {image["id"] for image in images}
        objects = [each for each in content["annotations"] if each["image_id"] in ids]
        text = json.dumps({**content, "images": images, "annotations": objects})
        for name in ("instances", "person_keypoints"):
            (folder / "annotations" / f"{name}_{split}.json").write_text(text)
    data = open_boxes(folder, max_broken=0)
    assert data.scan.warnings() == []
    assert {file.split("/")[0] for file in data.splits["train"].files} == {"train2017"}
    assert data.splits["val"].files == sorted(f"val2017/{n}" for n in list(rows)[16:])
    assert len(data.splits["train"]) + len(data.splits["test"]) == 16


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda c: c["images"][0].pop("id"), "an image must have id and file_name"),
        (lambda c: c["images"].append(c["images"][0]), "the ids of images must differ"),
        (lambda c: c["categories"][0].pop("name"), "a category must have id and name"),
        (lambda c: c.update(images={}), "must have a list of images"),
        (lambda c: c.update(images=[]), "must name images with boxes, got none"),
    ],
)
def test_a_coco_file_that_cannot_be_understood_is_refused_by_name(edit, says, tmp_path):
    folder, rows = made(tmp_path, images=10)
    path = change(write_coco(folder, rows), edit)
    with pytest.raises(DataError, match=says):
        open_boxes(path, max_broken=1)


@pytest.mark.parametrize("form", ["coco", "voc"])
def test_crowds_and_difficult_objects_are_kept_apart_as_ignored(form, tmp_path):
    folder, rows = made(tmp_path)
    path = WRITERS[form](folder, rows)
    name = next(name for name, own in rows.items() if len(own) > 1)
    if form == "coco":

        def edit(content):
            (image,) = (i["id"] for i in content["images"] if i["file_name"] == name)
            first = next(o for o in content["annotations"] if o["image_id"] == image)
            first["iscrowd"] = 1

        change(path, edit)
    else:
        file = (folder / "Annotations" / name).with_suffix(".xml")
        text = file.read_text()
        file.write_text(text.replace("<difficult>0<", "<difficult>1<", 1))
    data = open_boxes(folder, max_broken=0)
    assert boxes_of(data)[name] == [(label, pytest.approx(box)) for label, box in rows[name][1:]]
    (split,) = (s for s in data.splits.values() if any(f.endswith(name) for f in s.files))
    place = [f.rpartition("/")[2] for f in split.files].index(name)
    ignored = split.targets[place].ignored
    label, corners = rows[name][0]
    assert ignored.corners.tolist() == [pytest.approx(corners)]
    assert [data.classes[each] for each in ignored.labels] == [label]
    assert "1 box of crowds or difficult objects left out of the training" in " ".join(
        data.scan.notes
    )
    data.save(tmp_path / "split.json")
    again = load_annotated(tmp_path / "split.json", BOXES).splits
    (same,) = (t.ignored for s in again.values() for t in s.targets if t.ignored is not None)
    assert same.corners.tolist() == ignored.corners.tolist()
    judged = open_boxes(folder, classes=data.classes[::-1]).splits["test"].targets
    (turned,) = (t.ignored for t in judged if t.ignored is not None)
    assert data.classes[::-1][int(turned.labels[0])] == label


# YOLO


def test_yolo_outlines_are_boxes_and_what_is_wrong_is_named_by_its_line(tmp_path):
    folder, rows = made(tmp_path)
    write_yolo(folder, rows)
    empty = [name for name, own in rows.items() if not own]
    text = (
        "0 0.25 0.5 0.75 0.5 0.5 0.75 0.5 0.875\n"  # an outline of four corners
        "3 0.5 0.5 0.1 0.1\n\n1 0.5 0.5 0.1\n1.5 0.5 0.5 0.1 0.1\n-1 0.5 0.5 0.1 0.1\n"
        "one 0.5 0.5 0.1 0.1\n1 0.5 nan 0.1 0.1\n1 350 120 40 60\n"
    )
    label = (folder / "labels" / empty[0]).with_suffix(".txt")
    label.write_text(text)
    (folder / "labels" / "lost.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    data = open_boxes(folder, max_broken=0.5)
    assert boxes_of(data)[empty[0]] == [("circle", [12, 20, 36, 35])]
    told = "\n".join(data.scan.warnings())
    for words, line in (
        ("(it has the class 3 of 3 classes)", 2),
        ("(it has 3 numbers behind the class; a box has 4)", 4),
        ("(it has the class 1.5 of 3 classes)", 5),
        ("(it has the class -1 of 3 classes)", 6),
        ("(it is no row of numbers: one 0.5 0.5 0.1 0.1)", 7),
        ("(its corners are no numbers)", 8),
        ("(it lies outside the image)", 9),
    ):
        assert f"left out 1 box {words}: images/{empty[0]} {label.name} line {line}" in told
    assert "labels/lost.txt (boxes without an image)" in told


def test_yolo_splits_are_those_of_the_file_and_nothing_in_it_is_followed(tmp_path):
    folder, rows = made(tmp_path, images=20)
    write_yolo(folder, rows)
    names = list(rows)
    for split, part in (("train", names[:12]), ("valid", names[12:])):
        for kind, suffix in (("images", ".png"), ("labels", ".txt")):
            (folder / split / kind).mkdir(parents=True)
            for name in part:
                path = (folder / kind / name).with_suffix(suffix)
                if path.exists():
                    path.rename(folder / split / kind / path.name)
    trap = folder / "trap"
    (folder / "data.yaml").write_text(
        # As Roboflow writes it: one folder too far up.
        "train: ../train/images\nval: ../valid/images\nnc: 3\n"
        "names:\n  0: no\n  1: square\n  2: triangle\n"
        f"download: !!python/object/apply:pathlib.Path.touch [{trap}]\n"
    )
    data = open_boxes(folder, max_broken=0)
    assert data.classes[0] == "no"  # a word, not a truth value
    assert data.splits["val"].files == [f"valid/images/{name}" for name in names[12:]]
    assert not trap.exists()
    assert "the key download is not followed" in " ".join(data.scan.notes)
    test = "test: list.txt\n"
    (folder / "list.txt").write_text("".join(f"valid/images/{n}\n" for n in names[12:]))
    path = folder / "data.yaml"
    path.write_text(path.read_text().replace("val: ../valid/images\n", test))
    assert open_boxes(path).splits["test"].files == data.splits["val"].files


def test_yolo_folders_without_a_file_of_names_take_them_from_a_list_or_number_them(tmp_path):
    folder, rows = made(tmp_path, images=12)
    write_yolo(folder, rows).unlink()
    data = open_boxes(folder)
    assert data.classes == ("0", "1", "2")
    assert "classes are called by their numbers" in " ".join(data.scan.notes)
    (folder / "classes.txt").write_text("circle\nsquare\ntriangle\n")
    assert boxes_of(open_boxes(folder)).keys() == rows.keys()
    assert open_boxes(folder).classes == ("circle", "square", "triangle")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train: images\nnames: [a, a]\n", "names must differ, got a twice"),
        ("train: images\nnames: [a]\nnc: 3\n", "must have as many names as nc says, got 1"),
        ("train: nowhere\nnames: [a]\n", "train must be a folder of images or a list"),
        ("train: {a: 1}\nnames: [a]\n", "train must be a path, got a dict"),
        ("train: images\nnames: 7\n", "names must be a list"),
        ("train: [images\nnames: x\n", "cannot be read as YAML"),
    ],
)
def test_a_yaml_file_that_cannot_be_used_is_refused_by_its_key(text, says, tmp_path):
    folder, rows = made(tmp_path, images=10)
    path = write_yolo(folder, rows)
    path.write_text(text)
    with pytest.raises(DataError, match=rf"data\.yaml: {says}"):
        open_boxes(path)


# Pascal VOC
