"""Boxes drawn on an image: what is true, what was found, what was missed."""

from collections.abc import Sequence

from PIL import Image, ImageDraw
from torch import Tensor

from convatlas.explain.boxes.matching import verdicts
from convatlas.explain.contact_sheet import fitted
from convatlas.explain.pictures import to_pil
from convatlas.models.detect.found import Found
from convatlas.text import printable

RIGHT, WRONG, MISSED = (44, 160, 44), (214, 39, 40), (255, 191, 0)
PALETTE = (  # of classes, where nothing is known to be right: Okabe and Ito, 2008
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
)
Colour = tuple[int, int, int]


def draw_found(image: Tensor, found: Found, classes: Sequence[str]) -> Image.Image:
    """Draw boxes in the colour of their class, each with its name and score.

    Shape: image uint8 (c, h, w)
    """
    picture = to_pil(image).convert("RGB")
    for box, score, label in zip(*map(Tensor.tolist, found), strict=True):
        name = f"{printable(classes[label])} {score:.2f}"
        _draw(picture, box, class_colour(label), name)
    return picture


def draw_boxes(image: Tensor, boxes: Tensor, labels: Tensor, side: int) -> Image.Image:
    """Draw true boxes in the colours of their classes.

    Args:
        side: the longer side of the picture in pixels.

    Shape: image uint8 (c, h, w), boxes (k, 4) in its pixels, labels (k,)
    """
    original = to_pil(image).convert("RGB")
    picture = fitted(original, side)
    scale = [a / b for a, b in zip(picture.size, original.size, strict=True)] * 2
    for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
        scaled = [x * times for x, times in zip(box, scale, strict=True)]
        _draw(picture, scaled, class_colour(label), "")
    return picture


def class_colour(label: int) -> Colour:
    """Return the colour that the boxes of a class have."""
    return PALETTE[label % len(PALETTE)]


def draw_judged(
    image: Tensor, found: Found, boxes: Tensor, labels: Tensor, classes: Sequence[str], side: int
) -> Image.Image:
    """Draw right boxes in green, wrong ones in red and missed true ones in yellow.

    Args:
        found: those that are sure enough.
        side: the longer side of the picture in pixels; larger images are reduced.

    Shape: image uint8 (c, h, w), boxes (k, 4), labels (k,)
    """
    picture = to_pil(image).convert("RGB")
    share = min(1.0, side / max(picture.size))
    if share < 1:
        picture = picture.resize(
            (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        )
    right, seen = verdicts(found, boxes, labels)
    for box, label, done in zip(boxes.tolist(), labels.tolist(), seen.tolist(), strict=True):
        if not done:
            _draw(picture, [share * x for x in box], MISSED, printable(classes[label]))
    rows = zip(found.boxes.tolist(), found.labels.tolist(), right.tolist(), strict=True)
    for box, label, good in rows:
        name = "" if good else printable(classes[label])
        _draw(picture, [share * x for x in box], RIGHT if good else WRONG, name)
    return picture


def _draw(picture: Image.Image, box: Sequence[float], colour: Colour, name: str) -> None:
    draw = ImageDraw.Draw(picture)
    width = max(1, max(picture.size) // 320)
    draw.rectangle(tuple(box), outline=colour, width=width)
    if name:
        text = name.encode("latin-1", "replace").decode("latin-1")  # what the built-in font has
        draw.text((box[0] + width + 1, box[1] + width), text, fill=colour)
