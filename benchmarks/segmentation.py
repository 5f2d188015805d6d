"""Membranes of ISBI 2012: IoU of what lies inside a cell, and the Rand score, on six later slices.

`unet`, `saunet` and `unet3d_padded` learn from slices 0 to 20, are chosen by 21 to 23, and are
tested on 24 to 29. Beside them stands the best threshold of the blurred grey value, which needs no
network. Neighbouring slices resemble each other, and six are few: differences of a point or two are
chance.

Needs CONVATLAS_DATA with the folder `isbi_em`. `python benchmarks/segmentation.py NETWORK...
[--steps N] [--seed N]`. Rows of other networks in `results/segmentation.csv` stay.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from convatlas.data.masks.augment import mask_augmentation
from convatlas.data.masks.crops import CropSize, GridCrops, RandomCrops
from convatlas.deploy.segmenter import MaskPredictor
from convatlas.explain.masks.rand_score import rand_score
from convatlas.models import create_model
from convatlas.models.segment.segmenter import of_axis
from convatlas.train.loop import train
from convatlas.train.mask_figures import MaskFigures, count_pixels
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.segment import Segment
from machine import RESULTS, write_results

LEARN, CHOOSE, TEST = slice(0, 21), slice(21, 24), slice(24, 30)
MEAN, DEVIATION = 0.5, 0.17  # of the grey values, about
BATCH = 4
EPOCH = 400  # windows of a pass: validation comes after each
# Options, and pixels of a window that are answered for.
NETWORKS = {
    "unet": ({"width": 1 / 4, "norm": "batch", "padding": "same"}, (192, 192)),
    "saunet": ({"width": 1 / 4}, (192, 192)),
    "unet3d_padded": ({"width": 1 / 4}, (8, 96, 96)),
}


class Images:
    """Slices or one volume, as often as a pass has windows."""

    def __init__(self, images, masks, dims, passes=None):
        # A volume is one image whose axes are depth, height and width.
        self.pairs = (
            [(images[None], masks)] if dims == 3 else [*zip(images[:, None], masks, strict=True)]
        )
        self.count = passes or len(self.pairs)

    def __len__(self):
        return self.count

    def read(self, index):
        return self.pairs[index % len(self.pairs)]


def read_slices():
    """Grey values and what lies inside a cell. Shape: uint8 (30, 512, 512) twice"""
    with np.load(Path(os.environ["CONVATLAS_DATA"]) / "isbi_em" / "isbi_em.npz") as stored:
        return [torch.from_numpy(stored[name]) for name in ("image", "inside_cell")]


def trained(name, images, masks, steps, seed):
    """Return a network that was trained, as it is used."""
    options, answered = NETWORKS[name]
    torch.manual_seed(seed)
    network = create_model(name, num_classes=2, in_channels=1, **options)
    axes = range(network.dims)
    size = CropSize(
        [network.input_length(answered[axis], axis) for axis in axes],
        [of_axis(network.margin, axis) for axis in axes],
    )
    learn = Images(images[LEARN], masks[LEARN], network.dims, EPOCH)
    choose = Images(images[CHOOSE], masks[CHOOSE], network.dims)
    task = Segment(
        RandomCrops(learn, size, mask_augmentation("cells")),
        GridCrops(choose, size),
        num_classes=2,
        normalise=lambda x: (x.float() / 255 - MEAN) / DEVIATION,
    )
    recipe = Recipe(
        lr=3e-3, weight_decay=0.02, batch_size=BATCH, epochs=steps * BATCH / EPOCH, seed=seed
    )
    train(network, task, recipe)
    return MaskPredictor(network, [MEAN], [DEVIATION], ["border", "inside"]).eval()


@torch.no_grad()
def answer(predictor, images):
    """Return the mask of each slice. Shape: uint8 (n, h, w) -> uint8 (n, h, w)"""
    if predictor.dims == 3:
        return predictor.predict([images[..., None]])[0].mask
    return torch.stack([each.mask for each in predictor.predict(list(images[..., None]))])


def thresholded(images, masks):
    """The best threshold of the blurred grey value, by the IoU on the first slices."""
    blurred = torch.from_numpy(gaussian_filter(images.numpy().astype(np.float32), (0, 2, 2)))
    levels = range(60, 180, 4)
    best = max(levels, key=lambda v: inside_iou(blurred[LEARN] > v, masks[LEARN]))
    return (blurred[TEST] > best).to(torch.uint8)


def inside_iou(found, truth):
    return float(MaskFigures(count_pixels(found, truth, 2)).iou[1])


def main():
    words = argparse.ArgumentParser()
    words.add_argument("networks", nargs="*", default=["threshold", *NETWORKS])
    words.add_argument("--steps", type=int, default=600)
    words.add_argument("--seed", type=int, default=0)
    asked = words.parse_args()
    images, masks = read_slices()
    rows = []
    for name in asked.networks:
        start, row = time.process_time(), {"network": name, "width": 1, "params": 0, "windows": 0}
        if name == "threshold":
            found = thresholded(images, masks)
        else:
            predictor = trained(name, images, masks, asked.steps, asked.seed)
            found = answer(predictor, images[TEST])
            row["width"] = NETWORKS[name][0]["width"]
            row["params"] = sum(p.numel() for p in predictor.network.parameters())
            row["windows"] = asked.steps * BATCH
        rand = [rand_score(*pair) for pair in zip(found, masks[TEST], strict=True)]
        row |= {"seed": asked.seed, "iou": round(inside_iou(found, masks[TEST]), 4)}
        row |= {"rand": round(float(np.mean(rand)), 4)}
        rows.append(row | {"core_s": round(time.process_time() - start)})
        print(rows[-1], flush=True)
    write_results("segmentation", [*kept(rows), *rows])


def kept(rows):
    """Rows of earlier runs that these do not replace."""
    path, new = RESULTS / "segmentation.csv", {(r["network"], str(r["seed"])) for r in rows}
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        old = list(csv.DictReader(file))  # each with its own machine and date
    return [row for row in old if (row["network"], row["seed"]) not in new]


if __name__ == "__main__":
    main()
