"""How many JPEG photographs a second reach a network in training: ours beside the plain way.

The plain way is torchvision's ImageFolder and DataLoader with a random resized crop, mirroring,
changes of colour and normalisation, a worker process for each core. Ours are the batches of `fit`
on photographs: decoded once at 1.25 times the input, augmented as batches of bytes. Passes of both
take turns in one process, so that a busy machine slows both. Checking and decoding, which ours do
once before the first pass, stand apart (`reading_once_s`). `ours_uncached` decodes in every pass,
as where neither memory nor disk has room.

    python benchmarks/input.py [FOLDER] [--size 128] [--passes 3]

FOLDER holds CLASS/files; `clothing/train` of CONVATLAS_DATA if it is not given. Rows of other
folders in `results/input.csv` stay. `phones/12_megapixels` there are 64 photographs of clothes,
enlarged to 3000 x 4000 pixels with a little noise: as large as phones take them.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from convatlas.data import CachedImages, Preprocess, augment, augmentation, open_images
from convatlas.tasks.trial_images import CROP_MARGIN
from convatlas.train.tasks.classify import Classify
from machine import read_results, write_results

BATCH = 64
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def plain_loader(folder, size, workers):
    """Batches of torchvision's ImageFolder."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [
        v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
    images = ImageFolder(str(folder), v2.Compose(steps))
    return DataLoader(images, BATCH, shuffle=True, num_workers=workers, persistent_workers=True)


def our_batches(folder, size, **room):
    """Batches of `fit` on photographs, normalised."""
    data = open_images(folder)
    preprocess = Preprocess(3, size, MEAN, STD)
    transform = augmentation("photo", 3, size)
    images = CachedImages(data.splits["train"], round(size * CROP_MARGIN), **room)
    loader, _ = Classify(
        images, images, num_classes=len(data.classes), augment=None, normalise=None
    ).loaders(BATCH, 0)

    def batches():
        for pixels, labels in loader:
            yield preprocess.normalise(augment(pixels, transform)), labels

    return batches


def rate(batches):
    """Images a second over one pass."""
    started, count = time.perf_counter(), 0
    for images, _ in batches:
        count += len(images)
    return count / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--passes", type=int, default=3)
    asked = parser.parse_args()
    folder = asked.folder or Path(os.environ["CONVATLAS_DATA"]) / "clothing" / "train"
    cores = len(os.sched_getaffinity(0))
    plain = plain_loader(folder, asked.size, cores)
    started = time.perf_counter()
    kept = our_batches(folder, asked.size)
    reading = time.perf_counter() - started
    fresh = our_batches(folder, asked.size, share=0.0)
    next(iter(plain))  # its workers start before anything is timed
    rates = {"plain": [], "ours": [], "ours_uncached": []}
    for _ in range(asked.passes):
        rates["plain"].append(rate(plain))
        rates["ours"].append(rate(kept()))
        rates["ours_uncached"].append(rate(fresh()))
    middle = {name: statistics.median(each) for name, each in rates.items()}
    images = len(plain.dataset)
    data = f"{folder.parent.name}/{folder.name}"
    kept = [row for row in read_results("input") if row["data"] != data]
    write_results(
        "input",
        [
            *kept,
            *(
                {
                    "data": data,
                    "way": name,
                    "images_per_s": round(each),
                    "ratio_to_plain": round(each / middle["plain"], 2),
                    "slowest_pass": round(min(rates[name])),
                    "fastest_pass": round(max(rates[name])),
                    "size": asked.size,
                    "images": images,
                    "cores": cores,
                    "reading_once_s": round(reading, 1) if name == "ours" else "",
                }
                for name, each in middle.items()
            ),
        ],
    )


if __name__ == "__main__":
    main()
