"""Boxes in the files of Pascal VOC and Label Studio: what is read, and what is named as wrong."""

import json
import re

import pytest
from PIL import Image

from box_formats import (
    boxes_of,
    change,
    made,
    write_label_studio,
    write_voc,
)
from convatlas.data.boxes.open import open_boxes
from convatlas.errors import DataError


def test_voc_lists_give_the_splits_and_broken_files_are_named(tmp_path):
    folder, rows = made(tmp_path, images=20)
    write_voc(folder, rows)
    names = [name.removesuffix(".png") for name in rows]
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, part in (("train", names[:11]), ("val", names[11:15]), ("test", names[15:19])):
        (lists / f"{split}.txt").write_text("\n".join(part))
    bomb = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;">]><annotation>&c;</annotation>'
    (folder / "Annotations" / f"{names[0]}.xml").write_text(bomb)
    data = open_boxes(folder, max_broken=0.1)
    assert data.splits["test"].files == [f"JPEGImages/{name}.png" for name in names[15:19]]
    assert data.splits["val"].files == [f"JPEGImages/{name}.png" for name in names[11:15]]
    ((file, reason),) = data.scan.broken
    assert file == f"Annotations/{names[0]}.xml"
    assert reason.startswith("cannot be read as XML (EntitiesForbidden")
    assert (f"Annotations/{names[19]}.xml", "in no list of ImageSets/Main") in data.scan.ignored
    (lists / "val.txt").write_text(f"{names[3]}\n")
    with pytest.raises(DataError, match=rf"{names[3]} must be in one split, got train and val"):
        open_boxes(folder)


def test_voc_objects_that_cannot_be_used_are_named_by_their_number(tmp_path):
    folder, rows = made(tmp_path)
    write_voc(folder, rows)
    name = next(name for name, own in rows.items() if own)
    path = (folder / "Annotations" / name).with_suffix(".xml")
    own = len(rows[name])
    more = (
        "<object><bndbox><xmin>1</xmin></bndbox></object>"
        "<object><name>circle</name></object>"
        "<object><name>circle</name><bndbox><xmin>1</xmin><ymin>x</ymin></bndbox></object>"
        "<object><name>circle</name><robndbox><angle>1</angle></robndbox></object>"
    )
    path.write_text(path.read_text().replace("</annotation>", f"{more}</annotation>"))
    told = "\n".join(open_boxes(folder, max_broken=0.2).scan.warnings())
    for place, reason in enumerate(
        ("it has no name", "it has no bndbox", "its corners are no numbers: 1 x", "its box is rot")
    ):
        found = re.escape(f"JPEGImages/{name} {path.name} object {own + 1 + place}")
        assert re.search(rf"left out 1 box \({reason}.*\): {found}", told)


def test_voc_finds_the_image_that_a_file_names_and_counts_its_own_pixels_from_one(tmp_path):
    folder, rows = made(tmp_path, images=10)
    write_voc(folder, rows)
    name = next(name for name, own in rows.items() if own)
    path = (folder / "Annotations" / name).with_suffix(".xml")
    text = path.read_text()
    own = "<annotation><source><database>The VOC2007 Database</database></source>"
    path.unlink()
    (folder / "Annotations" / "other.xml").write_text(text.replace("<annotation>", own))
    found = boxes_of(open_boxes(folder, max_broken=0))[name]
    assert found == [(label, [x1 - 1, y1 - 1, x2, y2]) for label, (x1, y1, x2, y2) in rows[name]]
    (folder / "Annotations" / "lost.xml").write_text(text.replace(name, "lost.png"))
    broken = open_boxes(folder, max_broken=0.2).scan.broken
    assert broken == [("Annotations/lost.xml", "its image lost.png: no such file")]


# Label Studio


def test_label_studio_names_rotated_boxes_and_leaves_out_what_is_not_done(tmp_path):
    folder, rows = made(tmp_path)
    path = write_label_studio(folder, rows)
    names = list(rows)
    boxed = [number for number, own in enumerate(rows.values()) if own]

    def edit(tasks):
        first, second, third, fourth = (tasks[number] for number in boxed[:4])
        first["annotations"][0]["result"][0]["value"]["rotation"] = 12
        second["annotations"][0]["was_cancelled"] = True
        third["annotations"] = []
        better = {"id": 9, "result": [], "updated_at": "2026-01-02"}
        fourth["annotations"][0]["updated_at"] = "2025-01-02"
        fourth["annotations"].append(better)
        tasks[boxed[4]]["annotations"][0]["result"].append(
            {"id": "p", "type": "polygonlabels", "value": {"points": [], "polygonlabels": ["a"]}}
        )

    change(path, edit)
    data = open_boxes(folder, max_broken=0.1)
    found, told = boxes_of(data), "\n".join(data.scan.warnings())
    number = boxed[0] + 1
    assert (
        f"left out 1 box (it is rotated by 12 degrees): images/{names[boxed[0]]} "
        f"result r{number}-0 of task {number}"
    ) in told
    assert names[boxed[1]] not in found
    assert names[boxed[2]] not in found
    left_out = dict(data.scan.ignored)
    assert left_out[f"images/{names[boxed[1]]}"] == "its annotation was skipped"
    assert left_out[f"images/{names[boxed[2]]}"] == "not annotated yet"
    assert found[names[boxed[3]]] == []  # the later of two
    notes = " ".join(data.scan.notes)
    assert (
        f"1 tasks were annotated several times: the one marked as ground truth is used, else "
        f"the latest: task {boxed[3] + 1}" in notes
    )
    assert "1 of what was drawn are polygonlabels, left out" in notes


def test_label_studio_images_are_found_by_as_much_of_their_path_as_is_needed(tmp_path):
    folder, rows = made(tmp_path, images=10)
    path = write_label_studio(folder, rows)
    names = [name for name, own in rows.items() if own][:3]
    (folder / "more").mkdir()
    for name in names[:2]:
        Image.new("RGB", (48, 40)).save(folder / "more" / name)

    def edit(tasks):
        by_name = {task["data"]["image"].partition("-")[2]: task for task in tasks}
        by_name[names[0]]["data"]["image"] = f"/data/local-files/?d=images%2F{names[0]}"
        by_name[names[1]]["data"]["image"] = f"s3://bucket/{names[1]}"
        by_name[names[2]]["data"]["image"] = f"C:\\photos\\{names[2]}"

    change(path, edit)
    data = open_boxes(path, max_broken=0.2)
    files = [file for part in data.splits.values() for file in part.files]
    assert f"images/{names[0]}" in files
    assert f"images/{names[2]}" in files
    ((image, reason),) = data.scan.broken
    assert image == f"s3://bucket/{names[1]}"
    assert f"may be images/{names[1]}, more/{names[1]}" in reason


def test_label_studios_short_export_is_read_as_the_long_one(tmp_path):
    folder, rows = made(tmp_path, images=10)
    path = write_label_studio(folder, rows)
    expected = boxes_of(open_boxes(path))
    tasks = json.loads(path.read_text())
    short = [
        {
            "id": task["id"],
            "image": task["data"]["image"],
            "label": [
                {**each["value"], "original_width": 48, "original_height": 40}
                for each in task["annotations"][0]["result"]
            ],
            "annotator": 1,
        }
        for task in tasks
    ]
    path.write_text(json.dumps(short))
    assert boxes_of(open_boxes(path)) == expected
