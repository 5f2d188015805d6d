import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from convatlas.data import open_images
from convatlas.data.images.kept_pixels import KeptPixels
from convatlas.data.images.read import EXIF_ORIENTATION, read_image
from convatlas.data.images.scan import examine


def noise(*shape: int, high: int = 256, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape).astype(kind)


def save(path, case: str) -> None:
    """A picture of one sort, 5 pixels high and 7 wide."""
    colour = Image.fromarray(noise(5, 7, 3))
    if case == "turned.jpg":
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = 6
        colour.save(path, exif=exif)
    elif case == "grey.png":
        Image.fromarray(noise(5, 7)).save(path)
    elif case == "transparent.png":
        Image.fromarray(noise(5, 7, 4)).save(path)
    elif case == "one transparent colour.png":
        colour.save(path, transparency=colour.getpixel((0, 0)))
    elif case == "palette.gif":
        colour.quantize(16).save(path)
    elif case == "grey palette.png":
        Image.fromarray(noise(5, 7)).convert("P").save(path)
    elif case == "cmyk.jpg":
        colour.convert("CMYK").save(path)
    else:
        colour.save(path)


CASES = [
    "plain.png",
    "turned.jpg",
    "grey.png",
    "transparent.png",
    "one transparent colour.png",
    "palette.gif",
    "grey palette.png",
    "cmyk.jpg",
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_what_the_file_reads_as(tmp_path, case, channels):
    save(tmp_path / case, case)
    kept = KeptPixels(1000)
    examine(tmp_path, case, kept=kept)
    assert len(kept) == 1
    got = kept.get(case, channels)
    if channels == 3 or "grey.png" in case:
        assert got is not None
        assert torch.equal(got, read_image(tmp_path / case, channels))
    else:  # the grey of a coloured picture is read again
        assert got is None


def test_the_facts_of_the_scan_do_not_depend_on_it(tmp_path):
    for case in CASES:
        save(tmp_path / case, case)
        assert examine(tmp_path, case, kept=KeptPixels(1000)) == examine(tmp_path, case)


def test_deep_and_broken_files_are_not_kept(tmp_path):
    Image.fromarray(noise(5, 7, high=4096, kind=np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes(b"")
    kept = KeptPixels(1000)
    for file in ("deep.png", "broken.png"):
        examine(tmp_path, file, kept=kept)
    assert len(kept) == 0


def test_no_more_is_kept_than_there_is_room_for():
    kept, image = KeptPixels(250), torch.zeros(3, 4, 8, dtype=torch.uint8)
    for file in "abc":
        kept.keep(file, image)
    assert len(kept) == 2
    assert kept.get("c", 3) is None
    kept.forget()
    assert kept.get("a", 3) is None
    kept.keep("a", image)
    assert len(kept) == 0


def test_an_opened_data_set_reads_what_was_kept_and_files_again_once_it_is_forgotten(photos):
    kept = KeptPixels()
    split = open_images(photos, kept=kept).splits["train"]
    plain = open_images(photos).splits["train"]
    assert len(kept) == 60
    gone = photos / split.files[3]
    content = gone.read_bytes()
    gone.unlink()
    read = split.read(3)
    gone.write_bytes(content)
    kept.forget()
    assert torch.equal(read, split.read(3))
    assert torch.equal(read, plain.read(3))


def test_another_process_starts_with_none():
    kept = KeptPixels(1000)
    kept.keep("a", torch.zeros(1, 2, 2, dtype=torch.uint8))
    assert len(pickle.loads(pickle.dumps(kept))) == 0
