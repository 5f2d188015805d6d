"""A small made-up set of image files, for tests, documents and first steps.

Coloured shapes on noise: the class is the shape, so a network learns it in seconds but not read off
the colour or the place.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "cross", "ring", "bars")


def make_images(
    folder: str | Path, classes: int = 3, per_class: int = 12, size: int = 32, seed: int = 0
) -> Path:
    """Write PNG files `SHAPE/0000.png` into a folder, made where it does not exist.

    Args:
        classes: how many shapes, 1 to 6.
        per_class: images of each.
        size: side in pixels.

    Raises:
        ValueError: more classes than there are shapes.
    """
    if not 1 <= classes <= len(SHAPES):
        raise ValueError(f"make_images: classes must be 1 to {len(SHAPES)}, got {classes}")
    random = np.random.default_rng(seed)
    root = Path(folder)
    for shape in SHAPES[:classes]:
        (root / shape).mkdir(parents=True, exist_ok=True)
        for i in range(per_class):
            image = draw_shape(shape, size, random)
            image.save(root / shape / f"{i:04d}.png")
    return root


def draw_shape(shape: str, size: int, random: np.random.Generator) -> Image.Image:
    """Draw one shape of random colour, size and place on a dim, noisy ground."""
    ground = random.integers(0, 90, 3)
    noise = random.normal(0, 14, (size, size, 3))
    image = Image.fromarray((ground + noise).clip(0, 255).astype(np.uint8))
    half = size * random.uniform(0.22, 0.34)
    x, y = random.uniform(half, size - half, 2)
    fill = tuple(int(value) for value in random.integers(130, 256, 3))
    paint(ImageDraw.Draw(image), shape, x, y, half, fill)
    return image


def paint(
    draw: ImageDraw.ImageDraw,
    shape: str,
    x: float,
    y: float,
    half: float,
    fill: tuple[int, ...],
) -> None:
    """Draw a shape around (x, y) that reaches `half` pixels to each side."""
    box = (x - half, y - half, x + half, y + half)
    third = half / 3
    if shape == "circle":
        draw.ellipse(box, fill=fill)
    elif shape == "square":
        draw.rectangle(box, fill=fill)
    elif shape == "triangle":
        draw.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=fill)
    elif shape == "cross":
        draw.rectangle((x - half, y - third, x + half, y + third), fill=fill)
        draw.rectangle((x - third, y - half, x + third, y + half), fill=fill)
    elif shape == "ring":
        draw.ellipse(box, outline=fill, width=max(1, round(third)))
    else:
        for top in (y - half, y - third / 2, y + half - third):
            draw.rectangle((x - half, top, x + half, top + third), fill=fill)
