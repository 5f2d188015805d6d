"""The data sets of `regret.py` and `learning_curves.py` as folders that `fit` takes.

`CONVATLAS_DATA` says where the sources lie; folders are written once, below a folder for scratch.
"""

import csv
import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN, TEST = 10_000, 2_000  # of the sets with tens of thousands: a balanced part of each


def source(name):
    """Where a data set lies."""
    root = os.environ.get("CONVATLAS_DATA")
    if not root or not (Path(root) / name).is_dir():
        raise SystemExit(f"CONVATLAS_DATA must be a folder that holds {name}/")
    return Path(root) / name


def prepare(name, scratch):
    """A data set as `fit` takes it: its own folder, or one that is written below `scratch`."""
    if name == "digits":
        return "digits"
    if name == "clothing":
        return str(source(name))
    folder = Path(scratch) / name
    table = "labels.csv" if name == "imagenet_samples" else ""
    if not (folder / "done").exists():
        MAKERS[name](folder)
        (folder / "done").touch()
    return str(folder / "data" / table)


def _cifar10(folder):
    stored = np.load(source("cifar10") / "cifar10_jpeg.npz", allow_pickle=False)
    classes = [str(each) for each in stored["classes"]]
    for split, count in (("train", TRAIN), ("test", TEST)):
        raw, offsets = stored[f"{split}_jpeg"].tobytes(), stored[f"{split}_offset"]
        labels = stored[f"{split}_label"]
        for i in range(count):
            path = _path(folder, split, classes[labels[i]], i, "jpg")
            path.write_bytes(raw[offsets[i] : offsets[i + 1]])


def _fashion_mnist(folder):
    stored = np.load(source("fashion_mnist") / "fashion_mnist.npz", allow_pickle=False)
    classes = [str(each).replace("/", " or ") for each in stored["classes"]]
    for split, count in (("train", TRAIN), ("test", TEST)):
        images, labels = stored[f"{split}_image"], stored[f"{split}_label"]
        for i in range(count):
            buffer = io.BytesIO()
            Image.fromarray(images[i]).save(buffer, "png")
            _path(folder, split, classes[labels[i]], i, "png").write_bytes(buffer.getvalue())


def _path(folder, split, label, number, ending):
    path = folder / "data" / split / label / f"{number:05d}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# Labels of ImageNet in the usual order, by what is on the picture.
IMAGENET_GROUPS = {
    "birds": [*range(7, 25), *range(80, 101), *range(127, 147)],
    "dogs": range(151, 269),
    "reptiles": range(33, 69),
    "insects": range(300, 327),
    "fruit and vegetables": range(936, 958),
    "fish": [*range(0, 7), *range(389, 398)],
}


def _imagenet_samples(folder):
    """Six groups of classes, as a table of files."""
    of_label = {label: group for group, labels in IMAGENET_GROUPS.items() for label in labels}
    place = source("imagenet_samples")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with (
        (place / "labels.csv").open(newline="") as listed,
        (folder / "data" / "labels.csv").open("w", newline="") as file,
    ):
        out = csv.writer(file)
        out.writerow(["file_name", "label"])
        for row in csv.DictReader(listed):
            if int(row["label"]) in of_label:
                name = Path(row["file"]).name
                (folder / "data" / name).write_bytes((place / "images" / name).read_bytes())
                out.writerow([name, of_label[int(row["label"])]])


MAKERS = {
    "cifar10": _cifar10,
    "fashion_mnist": _fashion_mnist,
    "imagenet_samples": _imagenet_samples,
}
