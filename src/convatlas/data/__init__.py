"""Data sets: finding, checking, splitting, reading and transforming them.

Here: everything between a user's files and the tensors a network trains on.
Not here: losses and metrics (`train/tasks`) and pictures of the data (`explain`).
"""

from convatlas.data.images.augment import (
    augment,
    augmentation,
    background_value,
    choose_augmentation,
)
from convatlas.data.images.cache import CachedImages
from convatlas.data.images.image_data import ImageData, Split
from convatlas.data.images.open import open_images, open_test
from convatlas.data.images.preprocess import Preprocess
from convatlas.data.images.read import read_image
from convatlas.data.images.resize import Resize, resize
from convatlas.data.images.stored_split import load_split
from convatlas.data.images.synthetic import make_images
from convatlas.data.names import printable
from convatlas.data.scan_report import ScanReport

__all__ = [
    "CachedImages",
    "ImageData",
    "Preprocess",
    "Resize",
    "ScanReport",
    "Split",
    "augment",
    "augmentation",
    "background_value",
    "choose_augmentation",
    "load_split",
    "make_images",
    "open_images",
    "open_test",
    "printable",
    "read_image",
    "resize",
]
