"""What the parts of segmentation networks are for, on made-up images that only they can answer.

`context`: the class of a square is the colour of a mark 20 pixels to its right. A front end that
sees 7 pixels is at chance; a context module on its scores, with dilation and without, from each
start. `saunet`: a heart's slice (ring, disk in it, crescent beside it) with textures and uneven
brightness; with the loss of the borders and without, also where test textures are finer or coarser.

`python benchmarks/segmentation_checks.py context saunet`. Rows of other cases in
`results/segmentation_checks.csv` stay.
"""

import csv
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from convatlas.models import create_model
from convatlas.models.segment.context_module import ContextModule

HEIGHT, WIDTH, DISTANCE = 24, 40, 20
SQUARE, MARK = (1, 2), (3, 4)  # classes of the two kinds of squares and of marks; 0 is background
SIDE = 64  # of a slice
CRESCENT, RING, DISK = 1, 2, 3
GREYS = (0.45, 0.7, 0.25, 0.75)  # of background, crescent, ring, disk
COLUMNS = ("case", "form", "seed", "steps", "test", "figure", "value", "seconds")


def scenes(count):
    """Squares and, 20 pixels to their right, the mark whose colour is their class.

    Shape: (count, 3, 24, 40), (count, 24, 40) int64
    """
    images = 0.3 * torch.rand(count, 3, HEIGHT, WIDTH)
    masks = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.long)
    for image, mask in zip(images, masks, strict=True):
        colour = int(torch.randint(2, ()))
        row, left = int(torch.randint(5, HEIGHT - 5, ())), int(torch.randint(5, 16, ()))
        right = left + DISTANCE
        image[:, row - 4 : row + 4, left - 4 : left + 4] += 0.6
        mask[row - 4 : row + 4, left - 4 : left + 4] = SQUARE[colour]
        image[colour, row - 2 : row + 2, right - 2 : right + 2] += 0.7
        mask[row - 2 : row + 2, right - 2 : right + 2] = MARK[colour]
    return images, masks


def new_front_end():
    """Three convolutions of 8 channels, which see 7 x 7 pixels."""
    first, second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1))


def new_context(form):
    """A context module as the words say, e.g. `basic identity` or `basic identity undilated`."""
    kind, start, *undilated = form.split()
    module = ContextModule(5, form=kind, start=start)
    for layer in module if undilated else ():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.dilation = layer.padding = (1, 1)
    return module


def train_on(network, inputs, masks, *, steps, rate=0.01):
    """Adam on batches of 16, at a rate that falls in the second half."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    weights = torch.tensor([0.1, 1, 1, 1, 1])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, 2 - 2 * step / steps)
        chosen = torch.randint(len(inputs), (16,))
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[chosen]), masks[chosen], weights).backward()
        optimizer.step()


@torch.no_grad()
def right_squares(network, inputs, masks):
    """Share of the squares' pixels that get the class of their mark."""
    square = (masks == SQUARE[0]) | (masks == SQUARE[1])
    return float((network(inputs).argmax(1)[square] == masks[square]).float().mean())


def context_case():
    for seed in range(3):
        torch.manual_seed(seed)
        (images, masks), (test_images, test_masks) = scenes(512), scenes(128)
        front_end = new_front_end()
        start = time.process_time()
        train_on(front_end, images, masks, steps=100)
        alone = right_squares(front_end, test_images, test_masks)
        yield _row("context", "front end alone", seed, 100, "", "right_squares", alone, start)
        with torch.no_grad():
            scores, test_scores = front_end(images), front_end(test_images)
        forms = {"basic identity": 200, "basic random": 200, "basic identity undilated": 200}
        if seed == 0:
            forms |= {"large identity": 60, "large exact": 60}
        for form, steps in forms.items():
            torch.manual_seed(seed)
            module, start = new_context(form), time.process_time()
            rate = 0.001 if form.startswith("large") else 0.01
            train_on(module, scores, masks, steps=steps, rate=rate)
            right = right_squares(module, test_scores, test_masks)
            yield _row("context", form, seed, steps, "", "right_squares", right, start)


def slices(count, texture=20):
    """A ring with a disk in it and a crescent at its side, textured and unevenly bright.

    Args:
        texture: cells of the texture along a side; more are finer.

    Shape: (count, 1, 64, 64) of mean 0 and deviation 1, (count, 64, 64) int64
    """
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")

    def drawn(least, most):
        return least + (most - least) * torch.rand(count, 1, 1)

    middle_x, middle_y, inner, thick = drawn(26, 36), drawn(26, 38), drawn(7, 11), drawn(3, 5)
    outer = inner + thick
    distance = ((x - middle_x) ** 2 + (y - middle_y) ** 2).sqrt()
    beside = ((x - middle_x - 0.9 * inner - thick) ** 2 + ((y - middle_y) / 1.2) ** 2).sqrt()
    masks = torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    masks[(beside < inner + 2) & (distance >= outer)] = CRESCENT
    masks[distance < outer] = RING
    masks[distance < inner] = DISK
    images = torch.tensor(GREYS)[masks] + 0.15 * _smooth(count, texture)
    images += 0.05 * torch.randn(images.shape)
    images *= 1 + 0.3 * _smooth(count, 3).clamp(-1, 1)
    mean, deviation = images.mean((1, 2), keepdim=True), images.std((1, 2), keepdim=True)
    return ((images - mean) / deviation)[:, None], masks


def _smooth(count, cells):
    noise = torch.randn(count, 1, cells, cells)
    return F.interpolate(noise, (SIDE, SIDE), mode="bicubic", align_corners=True)[:, 0]


def saunet_case(steps=240):
    for form in ("three losses", "without the borders'"):
        torch.manual_seed(0)
        model, start = create_model("saunet_small", in_channels=1), time.process_time()
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(1, 2 - 2 * step / steps)
            parts = model.losses(*slices(8))
            if form != "three losses":
                del parts["edge"]
            optimizer.zero_grad()
            sum(parts.values()).backward()
            optimizer.step()
        model.eval()
        for test, texture in (("", 20), ("coarser textures", 8), ("finer textures", 40)):
            torch.manual_seed(1)
            images, masks = slices(64, texture)
            with torch.no_grad():
                found = model(images).argmax(1)
            for label, name in ((DISK, "disk"), (RING, "ring"), (CRESCENT, "crescent")):
                both = ((found == label) & (masks == label)).sum()
                dice = float(2 * both / ((found == label).sum() + (masks == label).sum()))
                yield _row("saunet", form, 0, steps, test, f"dice_{name}", dice, start)


def _row(case, form, seed, steps, test, figure, value, start):
    seconds = round(time.process_time() - start, 1)  # of the processor: others may hold it
    values = (case, form, seed, steps, test, figure, round(value, 4), seconds)
    return dict(zip(COLUMNS, values, strict=True))


CASES = {"context": context_case, "saunet": saunet_case}


def main(names):
    from machine import RESULTS, write_results

    torch.set_num_threads(1)
    path = RESULTS / "segmentation_checks.csv"
    kept = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in csv.DictReader(file) if row["case"] not in names]
    rows = [row for name in CASES if name in names for row in CASES[name]()]
    kept = [{key: row[key] for key in COLUMNS} for row in kept]
    write_results("segmentation_checks", [*kept, *rows])


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))
