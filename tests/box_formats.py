"""Writes a made-up set of boxes in every form that is read, so that each can be compared."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

from convatlas.data.boxes.synthetic import make_boxes

SIZE = (48, 40)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def made(folder, images=30):
    """The set, and its boxes: class and corners of each, by the name of the image."""
    make_boxes(folder, images=images, size=SIZE)
    return folder, rows_of(folder / "boxes.csv")


def rows_of(table):
    rows = defaultdict(list)
    with Path(table).open(newline="") as file:
        for row in csv.DictReader(file):
            own = rows[row["file"]]
            if row["class"]:
                own.append((row["class"], [float(row[corner]) for corner in CORNERS]))
    return dict(rows)


def without_table(folder):
    (folder / "boxes.csv").unlink()
    return folder


def class_names(rows):
    return sorted({label for own in rows.values() for label, _ in own})


def sizes_of(folder, rows):
    sizes = {}
    for name in rows:
        with Image.open(folder / "images" / name) as image:
            sizes[name] = image.size
    return sizes


def write_coco(folder, rows):
    names, sizes = class_names(rows), sizes_of(folder, rows)
    ids = {label: 10 + 7 * place for place, label in enumerate(names)}  # not contiguous
    images, objects = [], []
    for number, (name, own) in enumerate(rows.items()):
        width, height = sizes[name]
        images.append({"id": 100 + number, "file_name": name, "width": width, "height": height})
        for label, (x1, y1, x2, y2) in own:
            objects.append(
                {
                    "id": len(objects) + 1,
                    "image_id": 100 + number,
                    "category_id": ids[label],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    content = {
        "images": images,
        "annotations": objects,
        "categories": [{"id": ids[label], "name": label} for label in names],
    }
    path = without_table(folder) / "boxes.json"
    path.write_text(json.dumps(content))
    return path


def write_yolo(folder, rows):
    names, sizes = class_names(rows), sizes_of(folder, rows)
    (folder / "labels").mkdir()
    for name, own in rows.items():
        width, height = sizes[name]
        lines = [
            f"{names.index(label)} {(x1 + x2) / 2 / width!r} {(y1 + y2) / 2 / height!r} "
            f"{(x2 - x1) / width!r} {(y2 - y1) / height!r}\n"
            for label, (x1, y1, x2, y2) in own
        ]
        if lines:
            (folder / "labels" / name).with_suffix(".txt").write_text("".join(lines))
    without_table(folder)
    path = folder / "data.yaml"
    path.write_text(f"train: images\nnc: {len(names)}\nnames: [{', '.join(names)}]\n")
    return path


def write_voc(folder, rows):
    sizes = sizes_of(folder, rows)
    (folder / "images").rename(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    for name, own in rows.items():
        width, height = sizes[name]
        objects = "".join(
            f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox>"
            + "".join(f"<{c}>{v!r}</{c}>" for c, v in zip(CORNERS, box, strict=True))
            + "</bndbox></object>"
            for label, box in own
        )
        text = (
            f"<annotation><filename>{name}</filename>"
            f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            f"{objects}</annotation>"
        )
        (folder / "Annotations" / name).with_suffix(".xml").write_text(text)
    return without_table(folder)


def write_label_studio(folder, rows):
    sizes = sizes_of(folder, rows)
    tasks = []
    for number, (name, own) in enumerate(rows.items(), start=1):
        width, height = sizes[name]
        results = [
            {
                "id": f"r{number}-{place}",
                "type": "rectanglelabels",
                "from_name": "label",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": {
                    "x": 100 * x1 / width,
                    "y": 100 * y1 / height,
                    "width": 100 * (x2 - x1) / width,
                    "height": 100 * (y2 - y1) / height,
                    "rotation": 0,
                    "rectanglelabels": [label],
                },
            }
            for place, (label, (x1, y1, x2, y2)) in enumerate(own)
        ]
        tasks.append(
            {
                "id": number,
                "data": {"image": f"/data/upload/3/1a2b3c4d-{name}"},
                "annotations": [{"id": number, "result": results, "was_cancelled": False}],
            }
        )
    path = without_table(folder) / "project.json"
    path.write_text(json.dumps(tasks))
    return path


WRITERS = {
    "coco": write_coco,
    "yolo": write_yolo,
    "voc": write_voc,
    "label studio": write_label_studio,
}


def boxes_of(data):
    """Classes and corners by the image's own name, as a person reads them."""
    found = {}
    for part in data.splits.values():
        for file, target in zip(part.files, part.targets, strict=True):
            found[file.rpartition("/")[2]] = [
                (data.classes[label], corners)
                for label, corners in zip(
                    target.labels.tolist(), target.corners.tolist(), strict=True
                )
            ]
    return found


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path
