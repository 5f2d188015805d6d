"""Street scenes of CamVid with the context module and without it: mean IoU, three seeds.

A small front end is trained alone. From its weights two networks go on for as many steps: itself,
and itself with a basic context module that begins as the identity. So the module is measured, not
more training. Images are halved to 160 x 120 pixels; no public weights.

Needs CONVATLAS_DATA with the folder `camvid`. `python benchmarks/camvid_context.py [FIRST] [THEN]
[SEEDS]`: epochs alone, epochs of both after it, number of seeds; 24, 12 and 3.
"""

import copy
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from convatlas.models import create_model
from convatlas.models.segment.segmenter import IGNORED
from convatlas.train.loop import train
from convatlas.train.mask_figures import MaskFigures, count_pixels
from convatlas.train.recipe import Recipe
from convatlas.train.tasks.segment import Segment
from machine import write_results

CLASSES, UNLABELLED = 11, 11
SIZE = (160, 120)  # width and height
OPTIONS = {"width": 1 / 16, "num_classes": CLASSES, "dropout": 0.1}
MEAN, DEVIATION = 105.0, 70.0  # of the pixels, about


def read_split(folder):
    """Images as uint8 and masks, at half the resolution.

    Shape: (n, 3, 120, 160), (n, 120, 160) int64
    """
    images, masks = [], []
    for path in sorted(folder.glob("*_mask.png")):
        photo = path.with_name(path.name.replace("_mask.png", ".jpg"))
        image = Image.open(photo).convert("RGB").resize(SIZE, Image.Resampling.BILINEAR)
        images.append(np.array(image))
        masks.append(np.array(Image.open(path).resize(SIZE, Image.Resampling.NEAREST)))
    mask = torch.from_numpy(np.stack(masks)).long()
    mask[mask == UNLABELLED] = IGNORED
    return torch.from_numpy(np.stack(images)).movedim(-1, 1).contiguous(), mask


def normalise(images):
    return (images.float() - MEAN) / DEVIATION


@torch.no_grad()
def mean_iou(model, images, masks):
    model.eval()
    counts = torch.zeros(CLASSES, CLASSES, dtype=torch.long)
    for image, mask in zip(images.split(16), masks.split(16), strict=True):
        counts += count_pixels(model(normalise(image)).argmax(1), mask, CLASSES)
    return MaskFigures(counts).mean_iou


def main(first=24, then=12, seeds=3):
    folder = Path(os.environ["CONVATLAS_DATA"]) / "camvid"
    splits = {name: read_split(folder / name) for name in ("train", "val", "test")}
    task = Segment(
        TensorDataset(*splits["train"]),
        TensorDataset(*splits["val"]),
        num_classes=CLASSES,
        normalise=normalise,
    )
    rows = []
    for seed in range(seeds):
        recipe = Recipe(epochs=first, batch_size=16, lr=2e-3, weight_decay=0.01, seed=seed)
        torch.manual_seed(seed)
        alone = create_model("dilated_front_end_padded", **OPTIONS)
        train(alone, task, recipe)
        for form in ("none", "basic"):
            torch.manual_seed(seed)
            model = create_model("dilated_context_padded", context=form, **OPTIONS)
            model.front_end.load_state_dict(copy.deepcopy(alone.front_end.state_dict()))
            start = time.process_time()
            train(model, task, recipe.with_options(epochs=then, lr=1e-3))
            row = {"context": form, "seed": seed, "first_epochs": first, "then_epochs": then}
            row |= {"start_mean_iou_percent": _percent(mean_iou(alone, *splits["test"]))}
            row |= {"mean_iou_percent": _percent(mean_iou(model, *splits["test"]))}
            rows.append(row | {"core_s": round(time.process_time() - start)})
            print(rows[-1], flush=True)
    write_results("camvid_context", rows)


def _percent(share):
    return round(100 * share, 2)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
