"""Data sets: finding, checking, splitting, reading and transforming them.

Here: everything between a user's files and the tensors a network trains on.
Not here: losses and metrics (`train/tasks`) and pictures of the data (`explain`).
"""

from convatlas.data.augment import augment, augmentation, choose_augmentation, ground_level
from convatlas.data.cache import CachedImages
from convatlas.data.image_data import ImageData, Split
from convatlas.data.made_up import make_images
from convatlas.data.names import printable
from convatlas.data.open import open_images, open_test
from convatlas.data.preprocess import Preprocess
from convatlas.data.read import read_image
from convatlas.data.resize import Resize, resize
from convatlas.data.scan import ScanReport
from convatlas.data.stored_split import load_split

__all__ = [
    "CachedImages",
    "ImageData",
    "Preprocess",
    "Resize",
    "ScanReport",
    "Split",
    "augment",
    "augmentation",
    "choose_augmentation",
    "ground_level",
    "load_split",
    "make_images",
    "open_images",
    "open_test",
    "printable",
    "read_image",
    "resize",
]
