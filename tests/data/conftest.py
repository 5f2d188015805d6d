"""Small image files, good and bad, for the tests of the data room."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convatlas.data import make_images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of 20 readable PNG files of 16 x 16 pixels."""
    return make_images(tmp_path / "photos", classes=3, per_class=20, size=16)


@pytest.fixture
def save_noise():
    """Writes a noisy RGB image, so that cutting its bytes off removes real content."""

    def save(path: Path, size: tuple[int, int] = (40, 30), seed: int = 0, **options) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(values).save(path, **options)
        return path

    return save


@pytest.fixture
def real_data() -> Path:
    """The folder of public data sets that CONVATLAS_DATA names."""
    folder = os.environ.get("CONVATLAS_DATA")
    if not folder:
        pytest.skip("needs CONVATLAS_DATA")
    return Path(folder)
