"""Tell photographs from drawings, digits and icons by their size and their number of colours."""

import torch
from torch import Tensor

from convatlas.data.images.image_data import ImageData

MIN_SIDE = 64  # pixels: in smaller images the details that public weights look for are lost
SAMPLE = 24  # images that are looked at
CELLS = 32  # a side of the grid of pixels that is looked at
MIN_COLOURS = 0.3  # different colours for each pixel looked at
MIN_GREYS, MAX_ONE_GREY = 48, 0.3  # different greys; fraction of pixels that one grey may have


def are_photographs(data: ImageData) -> bool:
    """Return whether most images are large enough and shaded as photographs are.

    Digits, icons, drawings and screenshots have few colours, repeated exactly.
    """
    if min(data.height, data.width) < MIN_SIDE:
        return False
    train = data.splits["train"]
    step = max(1, len(train) // SAMPLE)
    rows = range(0, len(train), step)[:SAMPLE]
    shaded = [is_shaded(train.read(row)) for row in rows]
    return 2 * sum(shaded) > len(shaded)


def is_shaded(image: Tensor) -> bool:
    """Return whether the pixels of a grid have as many different values as a photograph.

    Shape: uint8 (c, h, w)
    """
    height, width = image.shape[-2:]
    grid = image[:, :: max(1, height // CELLS), :: max(1, width // CELLS)].flatten(1)
    if len(grid) == 1:
        _, counts = torch.unique(grid, return_counts=True)
        return len(counts) >= MIN_GREYS and int(counts.max()) <= MAX_ONE_GREY * grid.numel()
    return len(torch.unique(grid, dim=1).T) >= MIN_COLOURS * grid.shape[1]
