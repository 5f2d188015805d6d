"""A few hundred real digits as PNG files, and one run that was fitted to them."""

import pytest
from PIL import Image

import convatlas as ca
from convatlas.data import open_images
from convatlas.fit.job import fit

BUDGET = {"params": 80_000, "macs": 1.5e6}


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory):
    """Folder CLASS/files: 40 of each digit, and one file that is broken."""
    folder = tmp_path_factory.mktemp("digit files")
    train = open_images("digits").splits["train"]
    seen = dict.fromkeys(range(10), 0)
    for index, label in enumerate(train.labels):
        if seen[label] < 40:
            place = folder / f"digit {label}"
            place.mkdir(exist_ok=True)
            Image.fromarray(train.read(index)[0].numpy()).save(place / f"{index:05d} ü.png")
            seen[label] += 1
    (folder / "digit 3" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture(scope="session")
def run(digit_files, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    return fit(digit_files, budget=ca.Budget(**BUDGET), time_limit_s=40, out=out)
