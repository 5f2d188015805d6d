"""How far the images of a data set are from square."""

from statistics import median

from convatlas.data.images.image_data import ImageData

SAMPLE = 24  # images that are looked at
NOT_SQUARE = 1.25  # longer over shorter side, from which stretching to a square is seen


def usual_aspect(data: ImageData) -> float:
    """Return the median of longer over shorter side, over evenly spaced training images."""
    train = data.splits["train"]
    step = max(1, len(train) // SAMPLE)
    sides = [train.read(row).shape[-2:] for row in range(0, len(train), step)[:SAMPLE]]
    return median(max(pair) / min(pair) for pair in sides)
