"""Public weights: are they loaded and prepared right, and what do they bring to `fit`?

`accuracy` (writes `results/pretrained_accuracy.csv`): top-1 and top-5 of MobileNet V2 and
EfficientNet-Lite0 on one ImageNet picture a class. `fit` (`results/pretrained_fit.csv`): the main
job on a folder of photographs, with public weights and without, same budget and time limit.

Both need CONVATLAS_DATA, a folder that holds `imagenet_samples/` (images/ and labels.csv).
"""

import csv
import os
import sys
import tempfile
import time
from pathlib import Path

from convatlas.pretrained.checkpoint import checkpoints_of
from machine import write_results

# Coarse classes of the photo folder: ranges of ImageNet's labels, last one included.
COARSE = {
    "bird": ((7, 24), (80, 100), (127, 146)),
    "dog": ((151, 268),),
    "food": ((924, 937), (948, 957), (959, 969)),
    "insect": ((300, 326),),
    "reptile": ((25, 68),),
    "vehicle": (
        *((403, 405), (407, 408), (436, 436), (466, 466), (468, 468), (472, 472), (484, 484)),
        *((510, 511), (547, 547), (554, 555), (565, 565), (569, 569), (573, 573), (575, 576)),
        *((586, 586), (609, 609), (627, 628), (654, 654), (656, 656), (661, 661), (665, 665)),
        *((670, 671), (675, 675), (705, 705), (717, 717), (734, 734), (751, 751), (757, 757)),
        *((779, 780), (814, 814), (817, 817), (820, 820), (829, 829), (847, 847), (864, 864)),
        *((866, 867), (870, 871), (874, 874), (895, 895), (914, 914)),
    ),
}
TEST_EVERY = 3  # one picture in so many is only tested
SECONDS = 240
EXPECTED = {"mobilenet_v2": (81.2, 94.8), "efficientnet_lite0": (84.1, 96.6)}
AT_ONCE = 32


def main(argv):
    folder = samples()
    if folder is None:
        print("skipped: CONVATLAS_DATA names no folder with imagenet_samples/")
        return
    parts = argv or ["accuracy", "fit"]
    if "accuracy" in parts:
        rows = [measured(offline(name), folder) for name in EXPECTED]
        write_results("pretrained_accuracy", rows)
    if "fit" in parts:
        with tempfile.TemporaryDirectory() as place:
            photos = photo_folder(folder, Path(place) / "photos")
            rows = [fitted(photos, start, Path(place) / str(start)) for start in (True, False)]
        write_results("pretrained_fit", rows)


def samples():
    """The folder of pictures, or None."""
    folder = Path(os.environ.get("CONVATLAS_DATA", "")) / "imagenet_samples"
    return folder if "CONVATLAS_DATA" in os.environ and folder.is_dir() else None


def offline(name):
    """The checkpoint of a network that a package carries."""
    return next(c for c in checkpoints_of(name) if c.package is not None)


def labelled(folder):
    """(file, label) of every picture."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        return [
            (folder / "images" / row["file"], int(row["label"])) for row in csv.DictReader(file)
        ]


def measured(checkpoint, folder):
    start = time.perf_counter()
    top1, top5 = accuracies(checkpoint, folder)
    expected = EXPECTED[checkpoint.model]
    return {
        "model": checkpoint.model,
        "weights": checkpoint.source,
        "images": len(labelled(folder)),
        "top1_percent": round(top1, 2),
        "top5_percent": round(top5, 2),
        "expected_top1_percent": expected[0],
        "expected_top5_percent": expected[1],
        "seconds": round(time.perf_counter() - start, 1),
    }


def accuracies(checkpoint, folder):
    """Top-1 and top-5 in percent, through the pre-processing that travels with the weights."""
    import torch

    from convatlas.data import read_image
    from convatlas.deploy.classifier import ImageClassifier
    from convatlas.pretrained.create import load_public

    model = load_public(checkpoint.model, {}, checkpoint=checkpoint).model
    classifier = ImageClassifier(checkpoint.preprocess(), model)
    rows, right = labelled(folder), torch.zeros(2)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        images = [read_image(file, 3).permute(1, 2, 0).contiguous() for file, _ in part]
        best = classifier.predict(images).topk(5).indices
        hits = best == torch.tensor([label for _, label in part])[:, None]
        right += torch.stack([hits[:, 0].sum(), hits.any(1).sum()])
    return (100 * right / len(rows)).tolist()


def photo_folder(folder, place):
    """Pictures by coarse class as links, in train/ and test/."""
    for name, ranges in COARSE.items():
        files = [f for f, label in labelled(folder) if any(a <= label <= b for a, b in ranges)]
        for number, file in enumerate(files):
            part = place / ("test" if number % TEST_EVERY == 0 else "train") / name
            part.mkdir(parents=True, exist_ok=True)
            (part / file.name).symlink_to(file)
    return place


def fitted(photos, pretrained, out):
    import convatlas as ca

    start = time.perf_counter()
    run = ca.fit(photos, pretrained=pretrained, time_limit_s=SECONDS, out=out)
    config, test = run.config, run.evaluate()
    return {
        "pretrained": pretrained,
        "model": config.model,
        "input": config.settings["size"],
        "weights": config.weights,
        "params": config.params,
        "macs": config.macs,
        "train_images": config.counts["train"],
        "classes": len(config.facts["classes"]),
        "test_images": config.counts["test"],
        "accuracy": round(test.accuracy, 4),
        "onnx_max_difference": config.proof.max_difference,
        "onnx_top1_agreement": config.proof.agreement,
        "time_limit_s": SECONDS,
        "seconds": round(time.perf_counter() - start, 1),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
