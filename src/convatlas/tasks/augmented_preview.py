"""Images as a network gets them in training: resized, then augmented as by default."""

from collections.abc import Sequence

import torch

from convatlas.data import ImageData, augment, augmentation, background_value, choose_augmentation
from convatlas.data.images.augment import CROPPED, EACH_ALONE
from convatlas.data.images.cache import square
from convatlas.tasks.trial_images import CROP_MARGIN


def augmented_images(
    data: ImageData, split: str, places: Sequence[int], size: int, seed: int = 0
) -> list[torch.Tensor]:
    """Return images of a split, augmented as in the training of a network of that input size.

    What lies outside a turned or moved image takes the background of the images asked for.

    Args:
        size: of the network's input, in pixels.
        seed: of the augmentation.

    Shape: each uint8 (channels, size, size)

    Raises:
        DataError: an image cannot be read.
    """
    level = choose_augmentation(data)
    side = round(size * CROP_MARGIN) if level in CROPPED else size
    part = data.splits[split]
    images = torch.stack([square(part.read(place), side) for place in places])
    fill = background_value(images)
    transform = augmentation(level, data.channels, size, fill=fill)
    together = {"together": 1} if level in EACH_ALONE else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return list(augment(images, transform, **together))
