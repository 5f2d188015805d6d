"""A small made-up set of images with boxes: the shapes of `make_images`, several on each."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from convatlas.data.images.synthetic import SHAPES, paint

HEADINGS = ("file", "class", "xmin", "ymin", "xmax", "ymax")
ATTEMPTS = 50  # to find a free place for a shape
Box = tuple[float, float, float, float]


def make_boxes(
    folder: str | Path,
    images: int = 40,
    classes: int = 3,
    size: tuple[int, int] = (96, 80),
    most: int = 4,
    seed: int = 0,
) -> Path:
    """Write `images/0000.png` and so on, and `boxes.csv`; every tenth image shows nothing.

    Args:
        classes: how many shapes, 1 to 6.
        size: width and height in pixels.
        most: shapes on an image.

    Raises:
        ValueError: more classes than there are shapes.
    """
    if not 1 <= classes <= len(SHAPES):
        raise ValueError(f"make_boxes: classes must be 1 to {len(SHAPES)}, got {classes}")
    random = np.random.default_rng(seed)
    root = Path(folder)
    (root / "images").mkdir(parents=True, exist_ok=True)
    rows: list[tuple] = [HEADINGS]
    for i in range(images):
        name = f"{i:04d}.png"
        count = 0 if i % 10 == 9 else int(random.integers(1, most + 1))
        picture, found = draw_shapes(size, SHAPES[:classes], count, random)
        picture.save(root / "images" / name)
        rows += [(name, shape, *box) for shape, box in found]
        if not found:
            rows.append((name, "", "", "", "", ""))
    with (root / "boxes.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return root


def draw_shapes(
    size: tuple[int, int], shapes: tuple[str, ...], count: int, random: np.random.Generator
) -> tuple[Image.Image, list[tuple[str, Box]]]:
    """Draw shapes of random colour and size beside each other, and return their boxes."""
    width, height = size
    ground = random.integers(0, 90, 3) + random.normal(0, 14, (height, width, 3))
    picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    found: list[tuple[str, Box]] = []
    for _ in range(ATTEMPTS):
        if len(found) == count:
            break
        half = round(min(size) * random.uniform(0.1, 0.22))
        x, y = (int(random.integers(half, side - half)) for side in size)
        box = (x - half, y - half, x + half, y + half)
        if any(
            box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for _, b in found
        ):
            continue
        shape = shapes[int(random.integers(len(shapes)))]
        fill = tuple(int(value) for value in random.integers(130, 256, 3))
        paint(draw, shape, x, y, half, fill)
        found.append((shape, box))
    return picture, found
